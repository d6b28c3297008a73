// Rank-major rows are those of a model whose experts are the ranks, with ids that
// name each rank of a token once.
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe --canonicalize --cse | FileCheck %s

// 10 experts on 4 ranks, of which rank 0 and 1 have 3.
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// CHECK: pipe.rank_major
// CHECK: pipe.buffer @histogram : memref<5xi32> symmetric
// CHECK: pipe.buffer @id_histogram : memref<11xi32> symmetric
// CHECK: pipe.buffer @rank_ids : memref<32x2xi32> plan

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}, %[[IDS:[^:]*]]: memref<?x2xi64> {pipe.name = "ids"}
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "rows", pipe.output}
// CHECK-SAME: %[[LOCAL:[^:]*]]: memref<?x2xi64> {pipe.expert_rows, pipe.name = "local_ids", pipe.output}
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi64>)
    -> (tensor<?x16xbf16, #fusco.rank_major>,
        tensor<?x2xi64, #fusco.rank_major> {fusco.name = "local_ids"}, tensor<1xi32>, tensor<2xi32>, !fusco.plan<@ep>) {
  // Bad ids show in the histogram of experts.
  // CHECK:      %[[BAD:.*]] = pipe.histogram %[[IDS]] into
  // CHECK-SAME: memref<11xi32>
  // CHECK:      %[[TABLE:.*]] = pipe.local @rank_ids
  // CHECK:      pipe.for_each
  // CHECK:        memref.store %{{.*}}, %[[TABLE]][
  // CHECK:      %[[RANKS:.*]] = memref.subview %[[TABLE]]
  // CHECK:      pipe.histogram %[[RANKS]] into
  // CHECK:      arith.cmpi sge, %[[BAD]]
  // CHECK:      pipe.assign %[[RANKS]]
  // CHECK:      pipe.copy_row %[[X]]
  // CHECK:      pipe.copy_row %[[IDS]]
  // Once all have come, they become local.
  // CHECK:      pipe.receive @rows_done
  // CHECK:      pipe.for_each
  // CHECK:        memref.store %{{.*}}, %[[LOCAL]][
  %plan = fusco.plan %ids in @ep : tensor<?x2xi64> -> !fusco.plan<@ep>
  %rows, %local, %counts, %offsets = fusco.dispatch %x, %ids by %plan local_ids 1
    : (tensor<?x16xbf16>, tensor<?x2xi64>), !fusco.plan<@ep>
    -> (tensor<?x16xbf16, #fusco.rank_major>, tensor<?x2xi64, #fusco.rank_major>), tensor<1xi32>, tensor<2xi32>
  return %rows, %local, %counts, %offsets, %plan : tensor<?x16xbf16, #fusco.rank_major>,
    tensor<?x2xi64, #fusco.rank_major>, tensor<1xi32>, tensor<2xi32>, !fusco.plan<@ep>
}

// CHECK-LABEL: pipe.program @combine
func.func @combine(%y: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // CHECK:      pipe.reduce_row
  // CHECK-NOT:  weights
  %out = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.rank_major>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}
