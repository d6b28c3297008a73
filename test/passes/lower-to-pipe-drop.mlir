// Slots that overflow drop rows: each rank keeps the assignments that are among the
// first of their expert.
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe --canonicalize --cse | FileCheck %s

fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// CHECK-DAG: pipe.buffer @planned_ids : memref<32x2xi32> plan
// CHECK-DAG: pipe.buffer @placed_counts : memref<4x10xi32> plan
// CHECK: pipe.program @dispatch
// CHECK-SAME: %[[IDS:[^:]*]]: memref<?x2xi64> {pipe.name = "ids"}
// CHECK-SAME: %[[KEPT:[^:]*]]: memref<?x2xi64> {pipe.name = "kept_ids", pipe.output}
// CHECK: pipe.put @dispatch_headers
// What an assignment's number among its expert's is, and whether that has a slot.
// CHECK: pipe.assign %[[IDS]] {{.*}} ranks 1 per_node 1
// CHECK: %[[ALL:.*]] = pipe.local @planned_ids
// CHECK: arith.cmpi slt, %{{.*}}, %c24
// CHECK: memref.store %{{.*}}, %[[ALL]]
// CHECK: %[[PLANNED:.*]] = memref.subview %[[ALL]]
// Ranks in order take the slots.
// CHECK: %[[COUNTS:.*]] = pipe.local @placed_counts
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %c24_i32)
// CHECK: pipe.place %[[COUNTS]]
// CHECK-SAME: capacity 24
// CHECK: pipe.assign %[[PLANNED]] {{.*}} ranks 4 per_node 4
// CHECK: memref.store %{{.*}}, %[[KEPT]]
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi64>)
    -> (tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24, overflow = drop>>, tensor<?x2xi64>, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids in @ep : tensor<?x2xi64> -> !fusco.plan<@ep>
  %rows, %counts, %offsets, %kept = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24, overflow = drop>>, tensor<3xi32>, tensor<4xi32>
      kept tensor<?x2xi64>
  return %rows, %kept, %plan
      : tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24, overflow = drop>>, tensor<?x2xi64>, !fusco.plan<@ep>
}
