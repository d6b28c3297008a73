// RUN: fusco-opt %s --fusco-derive-backward --verify-roundtrip | FileCheck %s

!expertRows = tensor<?x16xbf16, #fusco.expert_major<align = 4>>
!data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 4>>
!scales = tensor<?x4xf32, #fusco.expert_major<align = 4>>
!plan = !fusco.plan<@ep>

// 9 experts on 2 ranks: 5 at most on a rank.
fusco.group @ep {experts = 9, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}

// CHECK-LABEL: func.func @dispatch(
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>) -> (!expertRows, tensor<5xi32>, tensor<6xi32>, !plan) {
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !plan
  %rows, %counts, %offsets = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !plan -> !expertRows, tensor<5xi32>, tensor<6xi32>
  return %rows, %counts, %offsets, %plan : !expertRows, tensor<5xi32>, tensor<6xi32>, !plan
}

// The plan has weights, the dispatch none.
// CHECK-LABEL: func.func @dispatch_backward(
// CHECK-SAME:      %[[DROWS:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>> {fusco.name = "drows"},
// CHECK-SAME:      %[[PLAN:.*]]: !fusco.plan<@ep>) -> (tensor<?x16xbf16> {fusco.name = "dx"})
// CHECK-NEXT:    %[[DX:.*]] = fusco.combine %[[DROWS]] by %[[PLAN]] : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
// CHECK-NEXT:    return %[[DX]]

func.func @combine(%y: !expertRows, %plan: !plan) -> tensor<?x16xbf16> {
  %out = fusco.combine %y by %plan weighted : !expertRows, !plan -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}

// CHECK-LABEL: func.func @combine_backward(
// CHECK-SAME:      %[[DOUT:.*]]: tensor<?x16xbf16> {fusco.name = "dout"},
// CHECK-SAME:      %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>> {fusco.name = "y"},
// CHECK-SAME:      %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-SAME:      -> (tensor<?x16xbf16, #fusco.expert_major<align = 4>> {fusco.name = "dy"}, tensor<?x2xf32> {fusco.name = "dweights"})
// CHECK-NEXT:    %[[DY:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[DOUT]] by %[[PLAN]] weighted : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<5xi32>, tensor<6xi32>
// CHECK-NEXT:    %[[DWEIGHTS:.*]] = fusco.weight_gradient %[[DOUT]], %[[Y]] by %[[PLAN]]
// CHECK-NEXT:    return %[[DY]], %[[DWEIGHTS]]

func.func @sum(%y: !expertRows, %plan: !plan) -> tensor<?x16xbf16> {
  %out = fusco.combine %y by %plan : !expertRows, !plan -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}

// CHECK-LABEL: func.func @sum_backward(
// CHECK-SAME:      %[[DOUT:.*]]: tensor<?x16xbf16> {fusco.name = "dout"},
// CHECK-SAME:      %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-SAME:      -> (tensor<?x16xbf16, #fusco.expert_major<align = 4>> {fusco.name = "dy"})
// CHECK-NEXT:    %[[DY:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[DOUT]] by %[[PLAN]] :
// CHECK-NEXT:    return %[[DY]]

// Summands and roundings of partial sums have no part in it.
func.func @plus(%y: !expertRows, %bias: tensor<1x16xbf16>, %residual: tensor<?x16xbf16>, %plan: !plan) -> tensor<?x16xf32> {
  %out = fusco.combine %y by %plan plus %bias, %residual partials bf16
    : !expertRows, !plan, tensor<1x16xbf16>, tensor<?x16xbf16> -> tensor<?x16xf32>
  return %out : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @plus_backward(
// CHECK-SAME:      %[[DOUT:.*]]: tensor<?x16xf32> {fusco.name = "dout"},
// CHECK-SAME:      %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT:    %[[DY:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[DOUT]] by %[[PLAN]] : tensor<?x16xf32>
// CHECK-NEXT:    return %[[DY]]

// Rows that were quantised: their gradient is of x's type, and there is none of the
// scales.
func.func @quantized(%x: tensor<?x16xbf16>, %plan: !plan) -> (!data, !scales) {
  %r:4 = fusco.dispatch %x by %plan transform {
    ^bb0(%row: tensor<?x16xbf16>):
      %q, %s = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
      fusco.yield %q, %s : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    } : tensor<?x16xbf16>, !plan -> (!data, !scales), tensor<5xi32>, tensor<6xi32>
  return %r#0, %r#1 : !data, !scales
}

// CHECK-LABEL: func.func @quantized_backward(
// CHECK-SAME:      %[[DROWS:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>> {fusco.name = "drows"},
// CHECK-SAME:      %[[PLAN:.*]]: !fusco.plan<@ep>) -> (tensor<?x16xbf16> {fusco.name = "dx"})
// CHECK-NEXT:    %[[DX:.*]] = fusco.combine %[[DROWS]] by %[[PLAN]] : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
// CHECK-NEXT:    return %[[DX]]

// Left alone: the unfused form, a backward, and what has no single shuffle.
// CHECK-NOT:   backward
// CHECK-LABEL: func.func @combine.unfused(
func.func @combine.unfused(%y: !expertRows, %plan: !plan) -> tensor<?x16xbf16> {
  %out = fusco.combine %y by %plan : !expertRows, !plan -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}

// CHECK-NOT: unfused_backward
// CHECK:     func.func @other_backward(
// CHECK-NOT: other_backward_backward
func.func @other_backward(%y: !expertRows, %plan: !plan) -> tensor<?x16xbf16> {
  %out = fusco.combine %y by %plan : !expertRows, !plan -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}

// CHECK:     func.func @two(
// CHECK-NOT: backward
func.func @two(%y: !expertRows, %plan: !plan) -> (tensor<?x16xbf16>, tensor<?x16xbf16>) {
  %0 = fusco.combine %y by %plan : !expertRows, !plan -> tensor<?x16xbf16>
  %1 = fusco.combine %y by %plan weighted : !expertRows, !plan -> tensor<?x16xbf16>
  return %0, %1 : tensor<?x16xbf16>, tensor<?x16xbf16>
}
func.func private @declared(!expertRows)
