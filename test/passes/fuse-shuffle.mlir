// RUN: fusco-opt %s --fusco-fuse-shuffle=remarks -split-input-file -verify-diagnostics --verify-roundtrip | FileCheck %s
// RUN: fusco-opt %s --fusco-plan-pipeline -split-input-file | FileCheck %s --check-prefix=HOPS

// The two directions as a framework writes them.
// CHECK: module attributes {fusco.decisions = [{choice = "fused", reason = "{{.+}}", subject = "form"}]}
fusco.group @ep {experts = 10, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!plan = !fusco.plan<@ep>
!tokens_bf16 = tensor<?x16xbf16>
!tokens_f16 = tensor<?x16xf16>
!tokens_f32 = tensor<?x16xf32>
!sent_bf16 = tensor<?x16xbf16, #fusco.device_major<destination>>
!sent_f32 = tensor<?x16xf32, #fusco.device_major<destination>>
!received_bf16 = tensor<?x16xbf16, #fusco.device_major<source>>
!received_f32 = tensor<?x16xf32, #fusco.device_major<source>>
!experts_bf16 = tensor<?x16xbf16, #fusco.expert_major<align = 4>>
!experts_f32 = tensor<?x16xf32, #fusco.expert_major<align = 4>>

// CHECK-LABEL: func.func @dispatch(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xbf16>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[ROWS:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[X]] by %[[PLAN]] : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<3xi32>, tensor<4xi32>
// CHECK-NEXT: return %[[ROWS]]
// HOPS-LABEL: func.func @dispatch(
// HOPS: fusco.dispatch {{.*}} hops [#fusco.hop<
func.func @dispatch(%x: !tokens_bf16, %plan: !plan) -> !experts_bf16 {
  %send = fusco.permute %x by %plan : !tokens_bf16, !plan -> !sent_bf16
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows : !experts_bf16
}

// CHECK-LABEL: func.func @combine(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
// CHECK-NEXT: return %[[OUT]]
func.func @combine(%y: !experts_bf16, %plan: !plan) -> !tokens_bf16 {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %recv = fusco.all_to_all %send by %plan : !received_bf16, !plan -> !sent_bf16
  %out = fusco.unpermute %recv by %plan : !sent_bf16, !plan -> !tokens_bf16
  return %out : !tokens_bf16
}

// CHECK-LABEL: func.func @combine_weighted(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] weighted : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
// CHECK-NEXT: return %[[OUT]]
func.func @combine_weighted(%y: !experts_bf16, %plan: !plan) -> !tokens_bf16 {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %recv = fusco.all_to_all %send by %plan : !received_bf16, !plan -> !sent_bf16
  %out = fusco.unpermute %recv by %plan weighted : !sent_bf16, !plan -> !tokens_bf16
  return %out : !tokens_bf16
}

// A cast of rows, wherever it stands.
// CHECK-LABEL: func.func @cast_before(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xf32>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[ROWS:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[X]] by %[[PLAN]] : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>,
// CHECK-NEXT: return %[[ROWS]]
func.func @cast_before(%x: !tokens_f32, %plan: !plan) -> !experts_bf16 {
  %cast = fusco.cast %x : !tokens_f32 -> !tokens_bf16
  %send = fusco.permute %cast by %plan : !tokens_bf16, !plan -> !sent_bf16
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows : !experts_bf16
}

// CHECK-LABEL: func.func @cast_sent(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xf32>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[ROWS:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[X]] by %[[PLAN]] : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>,
// CHECK-NEXT: return %[[ROWS]]
func.func @cast_sent(%x: !tokens_f32, %plan: !plan) -> !experts_bf16 {
  %send = fusco.permute %x by %plan : !tokens_f32, !plan -> !sent_f32
  %cast = fusco.cast %send : !sent_f32 -> !sent_bf16
  %recv = fusco.all_to_all %cast by %plan : !sent_bf16, !plan -> !received_bf16
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows : !experts_bf16
}

// CHECK-LABEL: func.func @cast_received(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xf32>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[ROWS:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[X]] by %[[PLAN]] : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>,
// CHECK-NEXT: return %[[ROWS]]
func.func @cast_received(%x: !tokens_f32, %plan: !plan) -> !experts_bf16 {
  %send = fusco.permute %x by %plan : !tokens_f32, !plan -> !sent_f32
  %recv = fusco.all_to_all %send by %plan : !sent_f32, !plan -> !received_f32
  %cast = fusco.cast %recv : !received_f32 -> !received_bf16
  %rows = fusco.permute %cast by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows : !experts_bf16
}

// CHECK-LABEL: func.func @cast_after(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xf32>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[ROWS:.*]], %{{.*}}, %{{.*}} = fusco.dispatch %[[X]] by %[[PLAN]] : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>,
// CHECK-NEXT: return %[[ROWS]]
func.func @cast_after(%x: !tokens_f32, %plan: !plan) -> !experts_bf16 {
  %send = fusco.permute %x by %plan : !tokens_f32, !plan -> !sent_f32
  %recv = fusco.all_to_all %send by %plan : !sent_f32, !plan -> !received_f32
  %rows = fusco.permute %recv by %plan : !received_f32, !plan -> !experts_f32
  %cast = fusco.cast %rows : !experts_f32 -> !experts_bf16
  return %cast : !experts_bf16
}

// A widening cast of what is summed, wherever it stands.
// CHECK-LABEL: func.func @widen_before(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xf32>
// CHECK-NEXT: return %[[OUT]]
func.func @widen_before(%y: !experts_bf16, %plan: !plan) -> !tokens_f32 {
  %cast = fusco.cast %y : !experts_bf16 -> !experts_f32
  %send = fusco.unpermute %cast by %plan : !experts_f32, !plan -> !received_f32
  %recv = fusco.all_to_all %send by %plan : !received_f32, !plan -> !sent_f32
  %out = fusco.unpermute %recv by %plan : !sent_f32, !plan -> !tokens_f32
  return %out : !tokens_f32
}

// CHECK-LABEL: func.func @widen_sent(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xf32>
// CHECK-NEXT: return %[[OUT]]
func.func @widen_sent(%y: !experts_bf16, %plan: !plan) -> !tokens_f32 {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %cast = fusco.cast %send : !received_bf16 -> !received_f32
  %recv = fusco.all_to_all %cast by %plan : !received_f32, !plan -> !sent_f32
  %out = fusco.unpermute %recv by %plan : !sent_f32, !plan -> !tokens_f32
  return %out : !tokens_f32
}

// CHECK-LABEL: func.func @widen_received(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xf32>
// CHECK-NEXT: return %[[OUT]]
func.func @widen_received(%y: !experts_bf16, %plan: !plan) -> !tokens_f32 {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %recv = fusco.all_to_all %send by %plan : !received_bf16, !plan -> !sent_bf16
  %cast = fusco.cast %recv : !sent_bf16 -> !sent_f32
  %out = fusco.unpermute %cast by %plan : !sent_f32, !plan -> !tokens_f32
  return %out : !tokens_f32
}

// The sum in f32 is rounded once, by the cast or by the combine.
// CHECK-LABEL: func.func @cast_sum(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xf32, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] : tensor<?x16xf32, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xf16>
// CHECK-NEXT: return %[[OUT]]
func.func @cast_sum(%y: !experts_f32, %plan: !plan) -> !tokens_f16 {
  %send = fusco.unpermute %y by %plan : !experts_f32, !plan -> !received_f32
  %recv = fusco.all_to_all %send by %plan : !received_f32, !plan -> !sent_f32
  %out = fusco.unpermute %recv by %plan : !sent_f32, !plan -> !tokens_f32
  %cast = fusco.cast %out : !tokens_f32 -> !tokens_f16
  return %cast : !tokens_f16
}

// CHECK-LABEL: func.func @widen_and_cast_sum(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] weighted : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
// CHECK-NEXT: return %[[OUT]]
func.func @widen_and_cast_sum(%y: !experts_bf16, %plan: !plan) -> !tokens_bf16 {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %cast = fusco.cast %send : !received_bf16 -> !received_f32
  %recv = fusco.all_to_all %cast by %plan : !received_f32, !plan -> !sent_f32
  %out = fusco.unpermute %recv by %plan weighted : !sent_f32, !plan -> !tokens_f32
  %narrow = fusco.cast %out : !tokens_f32 -> !tokens_bf16
  return %narrow : !tokens_bf16
}

// CHECK-LABEL: func.func @sum_in_f32(
// CHECK-SAME: %[[Y:.*]]: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[Y]] by %[[PLAN]] : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xf32>
// CHECK-NEXT: return %[[OUT]]
func.func @sum_in_f32(%y: !experts_bf16, %plan: !plan) -> !tokens_f32 {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %recv = fusco.all_to_all %send by %plan : !received_bf16, !plan -> !sent_bf16
  %out = fusco.unpermute %recv by %plan : !sent_bf16, !plan -> !tokens_f32
  return %out : !tokens_f32
}

// A cast beside what was fused before.
// CHECK-LABEL: func.func @cast_fused(
// CHECK-NEXT: fusco.dispatch %{{.*}} hops [] : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>,
func.func @cast_fused(%x: !tokens_f32, %plan: !plan) -> !experts_bf16 {
  %cast = fusco.cast %x : !tokens_f32 -> !tokens_bf16
  %rows, %counts, %offsets = fusco.dispatch %cast by %plan hops [] : !tokens_bf16, !plan -> !experts_bf16, tensor<3xi32>, tensor<4xi32>
  return %rows : !experts_bf16
}

// -----

// Nothing is fused, and nothing has been decided.
// CHECK: module {
fusco.group @ep {experts = 10, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!plan = !fusco.plan<@ep>
!tokens_bf16 = tensor<?x16xbf16>
!tokens_f16 = tensor<?x16xf16>
!tokens_f32 = tensor<?x16xf32>
!sent_bf16 = tensor<?x16xbf16, #fusco.device_major<destination>>
!sent_f16 = tensor<?x16xf16, #fusco.device_major<destination>>
!sent_f32 = tensor<?x16xf32, #fusco.device_major<destination>>
!received_bf16 = tensor<?x16xbf16, #fusco.device_major<source>>
!received_f16 = tensor<?x16xf16, #fusco.device_major<source>>
!received_f32 = tensor<?x16xf32, #fusco.device_major<source>>
!experts_bf16 = tensor<?x16xbf16, #fusco.expert_major<align = 4>>
!experts_f32 = tensor<?x16xf32, #fusco.expert_major<align = 4>>

// CHECK-LABEL: func.func @sent_twice(
// CHECK: fusco.permute
// CHECK: fusco.all_to_all
// CHECK: fusco.permute
func.func @sent_twice(%x: !tokens_bf16, %plan: !plan) -> (!experts_bf16, !sent_bf16) {
  %send = fusco.permute %x by %plan : !tokens_bf16, !plan -> !sent_bf16
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  // expected-remark@+1 {{not fused: the rows of 'fusco.permute' are used more than once}}
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows, %send : !experts_bf16, !sent_bf16
}

// CHECK-LABEL: func.func @plans(
// CHECK: fusco.permute
// CHECK: fusco.all_to_all
// CHECK: fusco.permute
func.func @plans(%x: !tokens_bf16, %plan: !plan, %other: !plan) -> !experts_bf16 {
  %send = fusco.permute %x by %plan : !tokens_bf16, !plan -> !sent_bf16
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  // expected-remark@+1 {{not fused: the steps use different plans}}
  %rows = fusco.permute %recv by %other : !received_bf16, !plan -> !experts_bf16
  return %rows : !experts_bf16
}

// CHECK-LABEL: func.func @no_exchange(
// CHECK: fusco.permute
func.func @no_exchange(%recv: !received_bf16, %plan: !plan) -> !experts_bf16 {
  // expected-remark@+1 {{not fused: 'fusco.permute' does not take the rows of a 'fusco.all_to_all'}}
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows : !experts_bf16
}

// CHECK-LABEL: func.func @no_first_step(
// CHECK: fusco.all_to_all
// CHECK: fusco.permute
func.func @no_first_step(%send: !sent_bf16, %plan: !plan) -> !experts_bf16 {
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  // expected-remark@+1 {{not fused: 'fusco.all_to_all' does not take the rows of a 'fusco.permute'}}
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows : !experts_bf16
}

// CHECK-LABEL: func.func @cast_twice(
// CHECK: fusco.permute
// CHECK: fusco.cast
// CHECK: fusco.all_to_all
// CHECK: fusco.cast
// CHECK: fusco.permute
func.func @cast_twice(%x: !tokens_f32, %plan: !plan) -> !experts_f32 {
  %send = fusco.permute %x by %plan : !tokens_f32, !plan -> !sent_f32
  %cast = fusco.cast %send : !sent_f32 -> !sent_bf16
  %recv = fusco.all_to_all %cast by %plan : !sent_bf16, !plan -> !received_bf16
  %back = fusco.cast %recv : !received_bf16 -> !received_f32
  // expected-remark@+1 {{not fused: the rows are cast more than once}}
  %rows = fusco.permute %back by %plan : !received_f32, !plan -> !experts_f32
  return %rows : !experts_f32
}

// CHECK-LABEL: func.func @blocks(
// CHECK: fusco.permute
// CHECK: fusco.all_to_all
// CHECK: fusco.permute
func.func @blocks(%x: !tokens_bf16, %plan: !plan, %none: !experts_bf16, %isRouted: i1) -> !experts_bf16 {
  %send = fusco.permute %x by %plan : !tokens_bf16, !plan -> !sent_bf16
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  %result = scf.if %isRouted -> !experts_bf16 {
    // expected-remark@+1 {{not fused: the steps stand in different blocks}}
    %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
    scf.yield %rows : !experts_bf16
  } else {
    scf.yield %none : !experts_bf16
  }
  return %result : !experts_bf16
}

// CHECK-LABEL: func.func @received_twice(
// CHECK: fusco.unpermute
// CHECK: fusco.all_to_all
// CHECK: fusco.unpermute
func.func @received_twice(%y: !experts_bf16, %plan: !plan) -> (!tokens_bf16, !sent_bf16) {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %recv = fusco.all_to_all %send by %plan : !received_bf16, !plan -> !sent_bf16
  // expected-remark@+1 {{not fused: the rows of 'fusco.all_to_all' are used more than once}}
  %out = fusco.unpermute %recv by %plan : !sent_bf16, !plan -> !tokens_bf16
  return %out, %recv : !tokens_bf16, !sent_bf16
}

// CHECK-LABEL: func.func @rounded_before_sum(
// CHECK: fusco.unpermute
// CHECK: fusco.cast
// CHECK: fusco.all_to_all
// CHECK: fusco.unpermute
func.func @rounded_before_sum(%y: !experts_f32, %plan: !plan) -> !tokens_f16 {
  %send = fusco.unpermute %y by %plan : !experts_f32, !plan -> !received_f32
  %cast = fusco.cast %send : !received_f32 -> !received_f16
  %recv = fusco.all_to_all %cast by %plan : !received_f16, !plan -> !sent_f16
  // expected-remark@+1 {{not fused: the rows are rounded to f16 before they are summed}}
  %out = fusco.unpermute %recv by %plan : !sent_f16, !plan -> !tokens_f16
  return %out : !tokens_f16
}

// Steps that nobody uses are left for others to refuse.
// CHECK-LABEL: func.func @unused(
// CHECK: fusco.permute
// CHECK: fusco.all_to_all
// CHECK: fusco.permute
func.func @unused(%x: !tokens_bf16, %plan: !plan) -> !tokens_bf16 {
  %send = fusco.permute %x by %plan : !tokens_bf16, !plan -> !sent_bf16
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %x : !tokens_bf16
}

// -----

// Steps that are fused, and casts that stay beside them.
fusco.group @ep {experts = 10, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!plan = !fusco.plan<@ep>
!tokens_bf16 = tensor<?x16xbf16>
!tokens_f32 = tensor<?x16xf32>
!sent_bf16 = tensor<?x16xbf16, #fusco.device_major<destination>>
!sent_f32 = tensor<?x16xf32, #fusco.device_major<destination>>
!received_bf16 = tensor<?x16xbf16, #fusco.device_major<source>>
!received_f32 = tensor<?x16xf32, #fusco.device_major<source>>
!experts_bf16 = tensor<?x16xbf16, #fusco.expert_major<align = 4>>
!experts_f32 = tensor<?x16xf32, #fusco.expert_major<align = 4>>

// CHECK-LABEL: func.func @narrow_before(
// CHECK-NEXT: fusco.cast
// CHECK-NEXT: fusco.combine
func.func @narrow_before(%y: !experts_f32, %plan: !plan) -> !tokens_bf16 {
  // expected-remark@+1 {{not fused: the rows are rounded to bf16 before they are summed}}
  %cast = fusco.cast %y : !experts_f32 -> !experts_bf16
  %send = fusco.unpermute %cast by %plan : !experts_bf16, !plan -> !received_bf16
  %recv = fusco.all_to_all %send by %plan : !received_bf16, !plan -> !sent_bf16
  %out = fusco.unpermute %recv by %plan : !sent_bf16, !plan -> !tokens_bf16
  return %out : !tokens_bf16
}

// CHECK-LABEL: func.func @sum_cast_late(
// CHECK-NEXT: fusco.combine
// CHECK-NEXT: fusco.cast
func.func @sum_cast_late(%y: !experts_bf16, %plan: !plan) -> !tokens_f32 {
  %send = fusco.unpermute %y by %plan : !experts_bf16, !plan -> !received_bf16
  %recv = fusco.all_to_all %send by %plan : !received_bf16, !plan -> !sent_bf16
  %out = fusco.unpermute %recv by %plan : !sent_bf16, !plan -> !tokens_bf16
  // expected-remark@+1 {{not fused: the sum is rounded before it is cast}}
  %cast = fusco.cast %out : !tokens_bf16 -> !tokens_f32
  return %cast : !tokens_f32
}

// CHECK-LABEL: func.func @second_cast(
// CHECK-NEXT: fusco.dispatch
// CHECK-NEXT: fusco.cast
func.func @second_cast(%x: !tokens_f32, %plan: !plan) -> !experts_f32 {
  %send = fusco.permute %x by %plan : !tokens_f32, !plan -> !sent_f32
  %cast = fusco.cast %send : !sent_f32 -> !sent_bf16
  %recv = fusco.all_to_all %cast by %plan : !sent_bf16, !plan -> !received_bf16
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  // expected-remark@+1 {{not fused: the rows are cast more than once}}
  %wide = fusco.cast %rows : !experts_bf16 -> !experts_f32
  return %wide : !experts_f32
}

// CHECK-LABEL: func.func @cast_used_twice(
// CHECK-NEXT: fusco.cast
// CHECK-NEXT: fusco.dispatch
func.func @cast_used_twice(%x: !tokens_f32, %plan: !plan) -> (!experts_bf16, !tokens_bf16) {
  // expected-remark@+1 {{not fused: the rows of 'fusco.cast' are used more than once}}
  %cast = fusco.cast %x : !tokens_f32 -> !tokens_bf16
  %send = fusco.permute %cast by %plan : !tokens_bf16, !plan -> !sent_bf16
  %recv = fusco.all_to_all %send by %plan : !sent_bf16, !plan -> !received_bf16
  %rows = fusco.permute %recv by %plan : !received_bf16, !plan -> !experts_bf16
  return %rows, %cast : !experts_bf16, !tokens_bf16
}

// CHECK-LABEL: func.func @rows_used_twice(
// CHECK-NEXT: fusco.dispatch
// CHECK-NEXT: fusco.cast
func.func @rows_used_twice(%x: !tokens_f32, %plan: !plan) -> (!experts_f32, !experts_bf16) {
  %send = fusco.permute %x by %plan : !tokens_f32, !plan -> !sent_f32
  %recv = fusco.all_to_all %send by %plan : !sent_f32, !plan -> !received_f32
  %rows = fusco.permute %recv by %plan : !received_f32, !plan -> !experts_f32
  // expected-remark@+1 {{not fused: the rows of 'fusco.dispatch' are used more than once}}
  %cast = fusco.cast %rows : !experts_f32 -> !experts_bf16
  return %rows, %cast : !experts_f32, !experts_bf16
}

// -----

// Rows that are quantised before they are dispatched.
fusco.group @ep {experts = 10, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!plan = !fusco.plan<@ep>
!tokens = tensor<?x16xbf16>
!data = tensor<?x16xf8E4M3FN>
!scales = tensor<?x4xf32>
!expert_data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 4>>
!expert_scales = tensor<?x4xf32, #fusco.expert_major<align = 4>>

// CHECK-LABEL: func.func @quantize(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xbf16>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[ROWS:.*]]:2, %{{.*}}, %{{.*}} = fusco.dispatch %[[X]] by %[[PLAN]] transform {
// CHECK-NEXT: ^bb0(%[[ROW:.*]]: tensor<?x16xbf16>):
// CHECK-NEXT: %[[DATA:.*]], %[[SCALES:.*]] = fusco.quantize %[[ROW]] block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
// CHECK-NEXT: fusco.yield %[[DATA]], %[[SCALES]]
// CHECK-NEXT: } : tensor<?x16xbf16>, !fusco.plan<@ep> -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 4>>, tensor<?x4xf32, #fusco.expert_major<align = 4>>),
// CHECK-NEXT: return %[[ROWS]]#0, %[[ROWS]]#1
// HOPS-LABEL: func.func @quantize(
// HOPS: fusco.dispatch {{.*}} hops [#fusco.hop<{{.*}} wire = f8E4M3FN,
func.func @quantize(%x: !tokens, %plan: !plan) -> (!expert_data, !expert_scales) {
  %data, %scales = fusco.quantize %x block 4 : !tokens -> !data, !scales
  %r:4 = fusco.dispatch %data, %scales by %plan
    : (!data, !scales), !plan -> (!expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1 : !expert_data, !expert_scales
}

// What is dispatched beside them goes as it is, and all keep their places.
// CHECK-LABEL: func.func @quantize_beside(
// CHECK-SAME: %[[X:.*]]: tensor<?x16xbf16>, %[[Z:.*]]: tensor<?x16xbf16>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: fusco.dispatch %[[X]], %[[Z]] by %[[PLAN]] transform {
// CHECK-NEXT: ^bb0(%[[ROW:.*]]: tensor<?x16xbf16>, %[[OTHER:.*]]: tensor<?x16xbf16>):
// CHECK-NEXT: %[[DATA:.*]], %[[SCALES:.*]] = fusco.quantize %[[ROW]] block 4
// CHECK-NEXT: fusco.yield %[[SCALES]], %[[OTHER]], %[[DATA]]
func.func @quantize_beside(%x: !tokens, %z: !tokens, %plan: !plan)
    -> (!expert_scales, tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !expert_data) {
  %data, %scales = fusco.quantize %x block 4 : !tokens -> !data, !scales
  %r:5 = fusco.dispatch %scales, %z, %data by %plan : (!scales, !tokens, !data), !plan
    -> (!expert_scales, tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !expert_data), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %r#2 : !expert_scales, tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !expert_data
}

// CHECK-LABEL: func.func @scales_used_twice(
// CHECK-NEXT: %[[DATA:.*]], %[[SCALES:.*]] = fusco.quantize
// CHECK-NEXT: fusco.dispatch %[[DATA]], %[[SCALES]] by %{{[^ ]*}} :
func.func @scales_used_twice(%x: !tokens, %plan: !plan) -> (!expert_data, !expert_scales, !scales) {
  // expected-remark@+1 {{not fused: the rows of 'fusco.quantize' are used more than once}}
  %data, %scales = fusco.quantize %x block 4 : !tokens -> !data, !scales
  %r:4 = fusco.dispatch %data, %scales by %plan
    : (!data, !scales), !plan -> (!expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %scales : !expert_data, !expert_scales, !scales
}

// CHECK-LABEL: func.func @scales_stay(
// CHECK-NEXT: fusco.quantize
// CHECK-NEXT: fusco.dispatch %{{[^ ]*}} by %{{[^ ]*}} :
func.func @scales_stay(%x: !tokens, %plan: !plan) -> (!expert_data, !scales) {
  // expected-remark@+1 {{not fused: its rows and scales are not moved by one 'fusco.dispatch'}}
  %data, %scales = fusco.quantize %x block 4 : !tokens -> !data, !scales
  %r:3 = fusco.dispatch %data by %plan : !data, !plan -> !expert_data, tensor<3xi32>, tensor<4xi32>
  return %r#0, %scales : !expert_data, !scales
}

// CHECK-LABEL: func.func @two_quantize(
// CHECK-NEXT: fusco.quantize
// CHECK-NEXT: fusco.dispatch %{{.*}}, %{{.*}}, %{{.*}} by %{{[^ ]*}} transform {
// CHECK-COUNT-1: fusco.quantize
// CHECK-NOT: fusco.quantize
// CHECK: return
func.func @two_quantize(%x: !tokens, %z: !tokens, %plan: !plan)
    -> (!expert_data, !expert_scales, !expert_data, !expert_scales) {
  // expected-remark@+1 {{not fused: the dispatch has a transform}}
  %data, %scales = fusco.quantize %x block 4 : !tokens -> !data, !scales
  %more, %of_more = fusco.quantize %z block 4 : !tokens -> !data, !scales
  %r:6 = fusco.dispatch %data, %scales, %more, %of_more by %plan : (!data, !scales, !data, !scales), !plan
    -> (!expert_data, !expert_scales, !expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %r#2, %r#3 : !expert_data, !expert_scales, !expert_data, !expert_scales
}

// What a combine takes is made of float8 on the way.
// CHECK-LABEL: func.func @dequantize(
// CHECK-SAME: %[[DATA:.*]]: tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 4>>, %[[SCALES:.*]]: tensor<?x4xf32, #fusco.expert_major<align = 4>>, %[[PLAN:.*]]: !fusco.plan<@ep>)
// CHECK-NEXT: %[[OUT:.*]] = fusco.combine %[[DATA]] scaled %[[SCALES]] block 4 by %[[PLAN]] weighted : tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 4>> scaled tensor<?x4xf32, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
// CHECK-NEXT: return %[[OUT]]
// HOPS-LABEL: func.func @dequantize(
// HOPS: fusco.combine {{.*}} hops [#fusco.hop<{{.*}} wire = f8E4M3FN,
func.func @dequantize(%data: !expert_data, %scales: !expert_scales, %plan: !plan) -> !tokens {
  %y = fusco.dequantize %data, %scales block 4
    : !expert_data, !expert_scales -> tensor<?x16xf32, #fusco.expert_major<align = 4>>
  %out = fusco.combine %y by %plan weighted
    : tensor<?x16xf32, #fusco.expert_major<align = 4>>, !plan -> !tokens
  return %out : !tokens
}

// And so from the unfused form, whose steps move float32.
// CHECK-LABEL: func.func @dequantize_unfused(
// CHECK-NEXT: fusco.combine %{{.*}} scaled %{{.*}} block 4 by %{{[^ ]*}} :
// CHECK-NEXT: return
func.func @dequantize_unfused(%data: !expert_data, %scales: !expert_scales, %plan: !plan) -> !tokens {
  %y = fusco.dequantize %data, %scales block 4
    : !expert_data, !expert_scales -> tensor<?x16xf32, #fusco.expert_major<align = 4>>
  %a = fusco.unpermute %y by %plan : tensor<?x16xf32, #fusco.expert_major<align = 4>>, !plan
    -> tensor<?x16xf32, #fusco.device_major<source>>
  %b = fusco.all_to_all %a by %plan : tensor<?x16xf32, #fusco.device_major<source>>, !plan
    -> tensor<?x16xf32, #fusco.device_major<destination>>
  %out = fusco.unpermute %b by %plan : tensor<?x16xf32, #fusco.device_major<destination>>, !plan -> !tokens
  return %out : !tokens
}

// CHECK-LABEL: func.func @dequantize_rounded(
// CHECK-NEXT: fusco.dequantize
// CHECK-NEXT: fusco.cast
// CHECK-NEXT: fusco.combine %{{[^ ]*}} by
func.func @dequantize_rounded(%data: !expert_data, %scales: !expert_scales, %plan: !plan) -> !tokens {
  // expected-remark@+1 {{not fused: its rows are not taken by a 'fusco.combine'}}
  %y = fusco.dequantize %data, %scales block 4
    : !expert_data, !expert_scales -> tensor<?x16xf32, #fusco.expert_major<align = 4>>
  // expected-remark@+1 {{not fused: the rows are rounded to bf16 before they are summed}}
  %z = fusco.cast %y : tensor<?x16xf32, #fusco.expert_major<align = 4>>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>
  %out = fusco.combine %z by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !plan -> !tokens
  return %out : !tokens
}

// A dispatch that has become one of several tensors casts none.
// CHECK-LABEL: func.func @cast_beside(
// CHECK-NEXT: fusco.cast
// CHECK-NEXT: fusco.dispatch
func.func @cast_beside(%x: !tokens, %scales: !scales, %plan: !plan)
    -> (tensor<?x16xf32, #fusco.expert_major<align = 4>>, !expert_scales) {
  // expected-remark@+1 {{not fused: the dispatch moves several tensors}}
  %wide = fusco.cast %x : !tokens -> tensor<?x16xf32>
  %r:4 = fusco.dispatch %wide, %scales by %plan : (tensor<?x16xf32>, !scales), !plan
    -> (tensor<?x16xf32, #fusco.expert_major<align = 4>>, !expert_scales), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1 : tensor<?x16xf32, #fusco.expert_major<align = 4>>, !expert_scales
}
