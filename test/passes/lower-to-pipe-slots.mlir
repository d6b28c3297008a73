// Expert slots: segments of a fixed size, of which what is unused is not written.
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe --canonicalize --cse \
// RUN:   | FileCheck %s --implicit-check-not=pipe.zero_rows

fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// To programs, slots are rows.
// CHECK: pipe.program @dispatch
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<72x16xbf16> {pipe.name = "rows", pipe.output, pipe.slots = 24 : i64}
// CHECK: pipe.place {{.*}} align 1 capacity 24
// The room is the tensor's; if an expert gets more, so does its rank.
// CHECK: pipe.fail_if %{{.*}}, capacity
// CHECK: pipe.copy_row
// Each expert's rows start at its slots, on a rank with fewer experts too.
// CHECK: scf.for %[[LOCAL:.*]] = %{{.*}} to %{{.*}} step
// CHECK:   %[[START:.*]] = arith.muli %[[LOCAL]], %c24
// CHECK:   %[[START32:.*]] = arith.index_cast %[[START]]
// CHECK:   memref.store %[[START32]]
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>)
    -> (tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24>>, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %rows, %counts, %offsets = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24>>, tensor<3xi32>, tensor<4xi32>
  return %rows, %counts, %offsets, %plan
      : tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24>>, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>
}

// CHECK: pipe.program @combine
// CHECK-SAME: memref<72x16xbf16> {pipe.name = "y", pipe.slots = 24 : i64}
// CHECK: pipe.reduce_row {{.*}} as memref<72x16xbf16>
func.func @combine(%y: tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24>>, %plan: !fusco.plan<@ep>)
    -> tensor<?x16xbf16> {
  %z = fusco.combine %y by %plan
      : tensor<3x24x16xbf16, #fusco.expert_slots<capacity = 24>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %z : tensor<?x16xbf16>
}
