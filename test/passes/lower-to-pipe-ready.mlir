// Rows that are counted as they arrive, with their weights beside them.
// RUN: fusco-opt %s --fusco-plan-dedup=unique=assignment --fusco-lower-to-pipe --canonicalize --cse | FileCheck %s
// RUN: fusco-opt %s --fusco-plan-dedup=unique=rank --fusco-lower-to-pipe --canonicalize --cse \
// RUN:   | FileCheck %s --check-prefix=BY-RANK

fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// CHECK: pipe.program @dispatch
// CHECK-SAME: %[[WEIGHTS:[^:]*]]: memref<?x1xf32> {pipe.expert_rows, pipe.name = "row_weights", pipe.output}
// CHECK-SAME: %[[READY:[^:]*]]: memref<36xi32> {pipe.name = "ready", pipe.output}
// CHECK-DAG: pipe.window %[[WEIGHTS]]
// CHECK-DAG: pipe.window %[[READY]]
// Counts, offsets and pads first.
// CHECK: pipe.zero_rows
// CHECK: pipe.zero_rows %[[WEIGHTS]]
// CHECK: pipe.fence
// CHECK: pipe.arrive %{{.*}}[%c0]
// Then each row, its weight before it is counted.
// CHECK: pipe.for_each
// CHECK: pipe.rows_at
// CHECK: pipe.copy_row
// CHECK: pipe.fence
// CHECK: %[[TILE:.*]] = arith.divui %{{.*}}, %c8
// CHECK: %[[ENTRY:.*]] = arith.addi %[[TILE]], %c1
// CHECK: pipe.arrive %{{.*}}[%[[ENTRY]]]

// The sender counts the row that it writes, its rank the copies that it makes.
// BY-RANK: pipe.stage "send"
// BY-RANK: pipe.copy_row
// BY-RANK: pipe.fence
// BY-RANK: pipe.arrive
// BY-RANK: pipe.stage "duplicate"
// BY-RANK: pipe.store_row
// BY-RANK: pipe.fence
// BY-RANK: pipe.arrive
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>)
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<?x1xf32, #fusco.expert_major<align = 8>>,
        tensor<36xi32>, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %rows, %counts, %offsets, %row_weights, %ready = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<3xi32>, tensor<4xi32>
      row_weights tensor<?x1xf32, #fusco.expert_major<align = 8>> ready tensor<36xi32>
  return %rows, %row_weights, %ready, %plan
      : tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<?x1xf32, #fusco.expert_major<align = 8>>,
        tensor<36xi32>, !fusco.plan<@ep>
}
