// Everything that cannot be compiled is refused at its place.
// RUN: fusco-opt %s --fusco-plan-direct --fusco-lower-to-pipe -split-input-file -verify-diagnostics

//===----------------------------------------------------------------------===//
// The shape
//===----------------------------------------------------------------------===//

// expected-error@+1 {{expected a module with a 'fusco.group'}}
module @no_group {
}

// -----

// expected-note@+1 {{the first one is here}}
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
// expected-error@+1 {{expected one group in a module}}
fusco.group @second {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// -----

// expected-error@+1 {{expected a 'fusco.dispatch' or 'fusco.combine' in the module, got none (the unfused form is not compiled)}}
module @unfused {
  fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
    topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
  func.func @permute(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>)
      -> tensor<?x16xbf16, #fusco.device_major<destination>> {
    %0 = fusco.permute %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.device_major<destination>>
    return %0 : tensor<?x16xbf16, #fusco.device_major<destination>>
  }
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @layout(%y: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the layout expert_major, the one that is compiled, got '#fusco.rank_major'}}
  %0 = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.rank_major>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @hops(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the hops of fusco-plan-direct; run that pass first}}
  %0 = fusco.combine %y by %plan hops [] : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!other = tensor<?x16xbf16, #fusco.expert_major<align = 16>>
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-note@+1 {{the first one is here}}
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}
func.func @two_alignments(%y: !other, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the experts' rows to have one type in the module, 'tensor<?x16xbf16, #fusco.expert_major<align = 8>>', got 'tensor<?x16xbf16, #fusco.expert_major<align = 16>>'}}
  %0 = fusco.combine %y by %plan : !other, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

// The rows fit in 31 bits (group_c4), but not with the pads.
fusco.group @ep {experts = 8, topk = 2, max_tokens = 268435455,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @pads(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected at most 2147483647 rows on a rank with pads, got 2147483656; take a smaller 'align' or 'max_tokens'}}
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>)
    -> (!rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  // expected-error@+1 {{expected weights, since a combine is 'weighted'}}
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2, %p : !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}
func.func @needs_weights(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-note@+1 {{it is here}}
  %0 = fusco.combine %y by %plan weighted : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

//===----------------------------------------------------------------------===//
// Functions: what they hold
//===----------------------------------------------------------------------===//

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected a body}}
func.func private @declaration(!rows)
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected straight-line code}}
func.func @two_blocks(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  cf.br ^next
^next:
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @combine_twice(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  // expected-error@+1 {{'fusco.combine' op expected at most once in a function}}
  %1 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @other_operation(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  // expected-error@+1 {{'arith.addf' op expected only fusco.plan, fusco.dispatch and fusco.combine in a function to compile}}
  %1 = arith.addf %0, %0 : tensor<?x16xbf16>
  return %1 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @identity_experts(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> tensor<?x16xbf16> {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  // expected-error@+1 {{'fusco.combine' op expected in a function of its own, after the experts}}
  %0 = fusco.combine %r#0 by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @foreign_plan(%x: tensor<?x16xbf16>, %p: !fusco.plan<@ep>) -> (!rows, tensor<2xi32>, tensor<3xi32>) {
  // expected-error@+1 {{'fusco.dispatch' op expected the plan to be made in the same function}}
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2 : !rows, tensor<2xi32>, tensor<3xi32>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}
// expected-error@+1 {{expected a 'fusco.dispatch' or a 'fusco.combine'}}
func.func @nothing() {
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @plan_with_combine(%y: !rows, %ids: tensor<?x2xi32>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{'fusco.plan' op expected in the function of its 'fusco.dispatch'}}
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.combine %y by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

//===----------------------------------------------------------------------===//
// Functions: what they take and return
//===----------------------------------------------------------------------===//

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @counts_dropped(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (!rows, tensor<3xi32>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-error@+1 {{expected 'counts' to be returned by the function}}
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#2, %p : !rows, tensor<3xi32>, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @plan_dropped(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (!rows, tensor<2xi32>, tensor<3xi32>) {
  // expected-error@+1 {{'fusco.plan' op expected the plan to be returned}}
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2 : !rows, tensor<2xi32>, tensor<3xi32>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x2xf32, #fusco.expert_major<align = 8>>
func.func @weights_are_x(%x: tensor<?x2xf32>, %ids: tensor<?x2xi32>)
    -> (!rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  // expected-error@+1 {{'fusco.plan' op expected 'weights' to be another tensor than 'x'}}
  %p = fusco.plan %ids, %x in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x2xf32>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2, %p : !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected every tensor to be used once, argument of type 'tensor<?xf32>' is not}}
func.func @unused_argument(%y: !rows, %plan: !fusco.plan<@ep>, %z: tensor<?xf32>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected every tensor to be used once, result of type 'tensor<?x16xbf16>' is not}}
func.func @returned_twice(%y: !rows, %plan: !fusco.plan<@ep>) -> (tensor<?x16xbf16>, tensor<?x16xbf16>) {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0, %0 : tensor<?x16xbf16>, tensor<?x16xbf16>
}
