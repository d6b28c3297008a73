// RUN: fusco-opt %s --fusco-add-baseline --verify-roundtrip | FileCheck %s

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}

// CHECK-LABEL: func.func @dispatch(
// CHECK: fusco.dispatch
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %rows, %counts, %offsets = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>
  return %rows, %counts, %offsets, %plan : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>, !fusco.plan<@ep>
}

// Counts and offsets go; rows and plan stay.
// CHECK-LABEL: func.func @dispatch.unfused(
// CHECK-SAME: -> (tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep>)
// CHECK-NOT: fusco.dispatch
// CHECK: %[[SEND:.*]] = fusco.permute %{{.*}} -> tensor<?x16xbf16, #fusco.device_major<destination>>
// CHECK: %[[RECV:.*]] = fusco.all_to_all %[[SEND]] {{.*}} -> tensor<?x16xbf16, #fusco.device_major<source>>
// CHECK: fusco.permute %[[RECV]] {{.*}} -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>

// CHECK-LABEL: func.func @combine.unfused(
// CHECK: %[[BACK:.*]] = fusco.unpermute %{{.*}} -> tensor<?x16xbf16, #fusco.device_major<source>>
// CHECK: %[[OWN:.*]] = fusco.all_to_all %[[BACK]] {{.*}} -> tensor<?x16xbf16, #fusco.device_major<destination>>
// CHECK: fusco.unpermute %[[OWN]] {{.*}} weighted {{.*}} -> tensor<?x16xbf16>
func.func @combine(%y: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %out = fusco.combine %y by %plan weighted : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}

// Rows are cast before they are permuted.
// CHECK-LABEL: func.func @cast_rows.unfused(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xf32>, %
// CHECK: %[[CAST:.*]] = fusco.cast %[[X]] : tensor<?x16xf32> -> tensor<?x16xbf16>
// CHECK: %[[SEND:.*]] = fusco.permute %[[CAST]] {{.*}} -> tensor<?x16xbf16, #fusco.device_major<destination>>
// CHECK: %[[RECV:.*]] = fusco.all_to_all %[[SEND]] {{.*}} -> tensor<?x16xbf16, #fusco.device_major<source>>
// CHECK: fusco.permute %[[RECV]] {{.*}} -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>
func.func @cast_rows(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %rows, %counts, %offsets = fusco.dispatch %x by %plan : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>
  return %rows, %counts, %offsets, %plan : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>, !fusco.plan<@ep>
}

// The sum is rounded once, to the type that it had.
// CHECK-LABEL: func.func @cast_sum.unfused(
// CHECK: %[[BACK:.*]] = fusco.unpermute %{{.*}} -> tensor<?x16xbf16, #fusco.device_major<source>>
// CHECK: %[[OWN:.*]] = fusco.all_to_all %[[BACK]] {{.*}} -> tensor<?x16xbf16, #fusco.device_major<destination>>
// CHECK: fusco.unpermute %[[OWN]] {{.*}} -> tensor<?x16xf32>
func.func @cast_sum(%y: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %plan: !fusco.plan<@ep>) -> tensor<?x16xf32> {
  %out = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xf32>
  return %out : tensor<?x16xf32>
}

// A weighted dispatch has no unfused form.
// CHECK-NOT: @scatter.unfused
func.func @scatter(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16, #fusco.expert_major<align = 4>> {
  %rows, %counts, %offsets = fusco.dispatch %x by %plan weighted : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>
  return %rows : tensor<?x16xbf16, #fusco.expert_major<align = 4>>
}

// Nor has one that quantises rows, or moves several tensors.
// CHECK-NOT: @quantized.unfused
// CHECK-NOT: @several.unfused
!plan = !fusco.plan<@ep>
!data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 4>>
!scales = tensor<?x4xf32, #fusco.expert_major<align = 4>>
func.func @quantized(%x: tensor<?x16xbf16>, %plan: !plan) -> (!data, !scales) {
  %r:4 = fusco.dispatch %x by %plan transform {
    ^bb0(%row: tensor<?x16xbf16>):
      %q, %s = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
      fusco.yield %q, %s : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    } : tensor<?x16xbf16>, !plan -> (!data, !scales), tensor<4xi32>, tensor<5xi32>
  return %r#0, %r#1 : !data, !scales
}
func.func @several(%x: tensor<?x16xf8E4M3FN>, %s: tensor<?x4xf32>, %plan: !plan) -> (!data, !scales) {
  %r:4 = fusco.dispatch %x, %s by %plan : (tensor<?x16xf8E4M3FN>, tensor<?x4xf32>), !plan -> (!data, !scales), tensor<4xi32>, tensor<5xi32>
  return %r#0, %r#1 : !data, !scales
}
