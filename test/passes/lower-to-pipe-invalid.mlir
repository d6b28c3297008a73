// Everything that cannot be compiled is refused at its place.
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe -split-input-file -verify-diagnostics

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

// One step of the unfused form is no shuffle.
// expected-error@+1 {{expected a 'fusco.dispatch', a 'fusco.combine' or their unfused forms in the module, got none}}
module @no_shuffle {
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
  topology = <nodes = 1, ranks_per_node = 4>, placement = <table, redundant = 2>}
func.func @table_and_ranks(%y: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected expert_major or expert_slots, in which a placement by table is compiled, got rank_major}}
  %0 = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.rank_major>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <table, redundant = 2>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
func.func @table_unfused(%y: !rows, %p: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the placement 'block', with which unfused shuffles are compiled, got 'table'}}
  %recv = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %send = fusco.all_to_all %recv by %p : !recv, !fusco.plan<@ep> -> !send
  %out = fusco.unpermute %send by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @hops(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the hops of fusco-plan-dedup; run that pass first}}
  %0 = fusco.combine %y by %plan hops [] : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#up = #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>
#back = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 32>
func.func @hops_between_nodes_of_one(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the hop scale_up on 1 nodes, got [#fusco.hop<scope = scale_up, }}
  %0 = fusco.combine %y by %plan hops [#up, #back]
    : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#up = #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>
#out = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 32>
func.func @hops_of_dispatch_reversed(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) -> !rows {
  // expected-error@+1 {{expected the hops scale_out, scale_up on 2 nodes, got [#fusco.hop<scope = scale_up, }}
  %r:3 = fusco.dispatch %x by %plan hops [#up, #out]
    : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0 : !rows
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#up = #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>
func.func @hops_of_dispatch_missing(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) -> !rows {
  // expected-error@+1 {{expected the hops scale_out, scale_up on 2 nodes, got [#fusco.hop<scope = scale_up, }}
  %r:3 = fusco.dispatch %x by %plan hops [#up]
    : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0 : !rows
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#back = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 32>
#up = #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>
func.func @hops_of_combine_reversed(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the hops scale_up, scale_out on 2 nodes, got [#fusco.hop<scope = scale_out, }}
  %0 = fusco.combine %y by %plan hops [#back, #up]
    : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#up = #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>
#back = #fusco.hop<scope = scale_out, unique = rank, mode = push, wire = f32, bytes_per_token = 32>
func.func @sums_of_ranks_between_nodes(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected a combine's scale_out hop to be unique per node, got }}
  %0 = fusco.combine %y by %plan hops [#up, #back]
    : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#up = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 32>
func.func @sums_of_another_type(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected partial sums to travel as what they are, 'f32', got #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 32>}}
  %0 = fusco.combine %y by %plan hops [#up] : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>
!wide = tensor<?x16xf32, #fusco.expert_major<align = 8>>
#up = #fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = f32, bytes_per_token = 32>
func.func @stray_dequantize(%q: !rows, %s: tensor<?x4xf32, #fusco.expert_major<align = 8>>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected before a combine, to be part of it; fusco-fuse-shuffle makes it so, and its option 'remarks' says why it did not}}
  %0 = fusco.dequantize %q, %s block 4 : !rows, tensor<?x4xf32, #fusco.expert_major<align = 8>> -> !wide
  %1 = fusco.combine %0 by %plan hops [#up] : !wide, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %1 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#up = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 32>
func.func @weighted_per_rank(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) -> !rows {
  // expected-error@+1 {{expected a weighted dispatch's scale_up hop to be unique per assignment, since each has its weight, got }}
  %r:3 = fusco.dispatch %x by %plan weighted hops [#up]
    : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0 : !rows
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
  // expected-error@+1 {{expected the experts' rows to have one hidden size and layout in the module, as in 'tensor<?x16xbf16, #fusco.expert_major<align = 8>>', got 'tensor<?x16xbf16, #fusco.expert_major<align = 16>>'}}
  %0 = fusco.combine %y by %plan : !other, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!other = tensor<?x17xbf16, #fusco.expert_major<align = 8>>
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-note@+1 {{the first one is here}}
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}
func.func @two_hidden_sizes(%y: !other, %plan: !fusco.plan<@ep>) -> tensor<?x17xbf16> {
  // expected-error@+1 {{expected the experts' rows to have one hidden size and layout in the module}}
  %0 = fusco.combine %y by %plan : !other, !fusco.plan<@ep> -> tensor<?x17xbf16>
  return %0 : tensor<?x17xbf16>
}

// -----

// The rows fit in 31 bits (group_c4), but not with the pads.
fusco.group @ep {experts = 8, topk = 2, max_tokens = 268435455,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @pads(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected at most 2147483647 rows on a rank with pads, got 2147483656; take a smaller 'align', 'capacity' or 'max_tokens'}}
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

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (!rows, !fusco.plan<@ep>) {
  // expected-error@+1 {{expected weights, since a combine is 'weighted'}}
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %0 by %p : !send, !fusco.plan<@ep> -> !recv
  %2 = fusco.permute %1 by %p : !recv, !fusco.plan<@ep> -> !rows
  return %2, %p : !rows, !fusco.plan<@ep>
}
func.func @needs_weights_unfused(%y: !rows, %p: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %0 by %p : !recv, !fusco.plan<@ep> -> !send
  // expected-note@+1 {{it is here}}
  %2 = fusco.unpermute %1 by %p weighted : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %2 : tensor<?x16xbf16>
}

// -----

// A fused dispatch does not count what an unfused combine needs.
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>)
    -> (!rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-note@+1 {{the first one is here}}
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2, %p : !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}
func.func @both_forms(%y: !rows, %p: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{'fusco.unpermute' op expected only fused or only unfused shuffles in the module}}
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %0 by %p : !recv, !fusco.plan<@ep> -> !send
  %2 = fusco.unpermute %1 by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %2 : tensor<?x16xbf16>
}

// -----

//===----------------------------------------------------------------------===//
// The module: what it holds, and names
//===----------------------------------------------------------------------===//

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{'builtin.module' op expected only a 'fusco.group' and functions in a module to compile}}
module @nested {
  fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
    topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
  func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
    %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
    return %0 : tensor<?x16xbf16>
  }
}

// -----

// expected-error@+1 {{expected another name than 'stats', which compiled programs use}}
fusco.group @stats {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @combine(%y: !rows, %plan: !fusco.plan<@stats>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@stats> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected another name than 'send_bases', which compiled programs use}}
func.func @send_bases(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected another name than 'library', which the compiled library exports}}
func.func @library(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
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
  // expected-error@+1 {{'arith.addf' op expected only operations of the fusco dialect in a function to compile}}
  %1 = arith.addf %0, %0 : tensor<?x16xbf16>
  return %1 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected one dispatch or one combine, fused or unfused, got 2}}
func.func @identity_experts(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> tensor<?x16xbf16> {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  %0 = fusco.combine %r#0 by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @foreign_plan(%x: tensor<?x16xbf16>, %p: !fusco.plan<@ep>) -> !rows {
  // expected-error@+1 {{'fusco.permute' op expected the plan to be made in the same function}}
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %0 by %p : !send, !fusco.plan<@ep> -> !recv
  %2 = fusco.permute %1 by %p : !recv, !fusco.plan<@ep> -> !rows
  return %2 : !rows
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @own_plan_and_foreign(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %q: !fusco.plan<@ep>)
    -> (!rows, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-error@+1 {{'fusco.dispatch' op expected the plan to be made in the same function}}
  %r:3 = fusco.dispatch %x by %q : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %p : !rows, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected no plan as argument, got 1}}
func.func @plan_not_used(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %q: !fusco.plan<@ep>)
    -> (!rows, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %p : !rows, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected one plan as argument, got 2}}
func.func @two_plans(%x: tensor<?x16xbf16>, %p: !fusco.plan<@ep>, %q: !fusco.plan<@ep>) -> !rows {
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0 : !rows
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}
// expected-error@+1 {{expected one dispatch or one combine, fused or unfused, got 0}}
func.func @nothing() {
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @plan_with_combine(%y: !rows, %ids: tensor<?x2xi32>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{'fusco.plan' op expected in the function of its dispatch}}
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.combine %y by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @plan_beside_combine(%y: !rows, %plan: !fusco.plan<@ep>, %ids: tensor<?x2xi32>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{'fusco.plan' op expected in the function of its dispatch}}
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @foreign_plan_returned(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %other: !fusco.plan<@ep>)
    -> (!rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  // expected-error@+1 {{'func.return' op expected the plan to be made in the same function}}
  return %r#0, %r#1, %r#2, %other : !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
// expected-error@+1 {{expected no plan as argument, got 1}}
func.func @plan_unused(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %other: !fusco.plan<@ep>)
    -> (!rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2, %p : !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}

// -----

// The steps of one combine would follow two plans.
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
// expected-error@+1 {{expected one plan as argument, got 2}}
func.func @two_plans(%y: !rows, %p: !fusco.plan<@ep>, %q: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %0 by %q : !recv, !fusco.plan<@ep> -> !send
  %2 = fusco.unpermute %1 by %q : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %2 : tensor<?x16xbf16>
}

// -----

//===----------------------------------------------------------------------===//
// Functions: the chains of the unfused form
//===----------------------------------------------------------------------===//

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @dispatch_from_received(%recv: !recv, %ids: tensor<?x2xi32>) -> (!rows, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-error@+1 {{'fusco.permute' op expected to end the chain permute, all_to_all, permute}}
  %0 = fusco.permute %recv by %p : !recv, !fusco.plan<@ep> -> !rows
  return %0, %p : !rows, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @dispatch_without_exchange(%x: tensor<?x16xbf16>, %recv: !recv, %ids: tensor<?x2xi32>)
    -> (!rows, !send, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  // expected-error@+1 {{expected to end the chain permute, all_to_all, permute}}
  %1 = fusco.permute %recv by %p : !recv, !fusco.plan<@ep> -> !rows
  return %1, %0, %p : !rows, !send, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @dispatch_of_other_exchange(%x: tensor<?x16xbf16>, %send: !send, %ids: tensor<?x2xi32>)
    -> (!rows, !send, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %send by %p : !send, !fusco.plan<@ep> -> !recv
  // expected-error@+1 {{expected to end the chain permute, all_to_all, permute}}
  %2 = fusco.permute %1 by %p : !recv, !fusco.plan<@ep> -> !rows
  return %2, %0, %p : !rows, !send, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @dispatch_of_other_rows(%x: tensor<?x16xbf16>, %recv: !recv, %ids: tensor<?x2xi32>)
    -> (!rows, !recv, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %0 by %p : !send, !fusco.plan<@ep> -> !recv
  // expected-error@+1 {{expected to end the chain permute, all_to_all, permute}}
  %2 = fusco.permute %recv by %p : !recv, !fusco.plan<@ep> -> !rows
  return %2, %1, %p : !rows, !recv, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @dispatch_and_sum(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>)
    -> (!rows, tensor<?x16xbf16>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %0 by %p : !send, !fusco.plan<@ep> -> !recv
  // expected-error@+1 {{expected to end the chain permute, all_to_all, permute}}
  %2 = fusco.permute %1 by %p : !recv, !fusco.plan<@ep> -> !rows
  %3 = fusco.unpermute %0 by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %2, %3, %p : !rows, tensor<?x16xbf16>, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @combine_without_exchange(%y: !rows, %p: !fusco.plan<@ep>) -> !recv {
  // expected-error@+1 {{'fusco.unpermute' op expected to begin the chain unpermute, all_to_all, unpermute}}
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  return %0 : !recv
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @combine_without_sum(%y: !rows, %p: !fusco.plan<@ep>) -> !send {
  // expected-error@+1 {{expected to begin the chain unpermute, all_to_all, unpermute}}
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %0 by %p : !recv, !fusco.plan<@ep> -> !send
  return %1 : !send
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @combine_of_other_exchange(%y: !rows, %recv: !recv, %p: !fusco.plan<@ep>) -> (!recv, tensor<?x16xbf16>) {
  // expected-error@+1 {{expected to begin the chain unpermute, all_to_all, unpermute}}
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %recv by %p : !recv, !fusco.plan<@ep> -> !send
  %2 = fusco.unpermute %1 by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0, %2 : !recv, tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @combine_of_other_rows(%y: !rows, %send: !send, %p: !fusco.plan<@ep>) -> (!send, tensor<?x16xbf16>) {
  // expected-error@+1 {{expected to begin the chain unpermute, all_to_all, unpermute}}
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %0 by %p : !recv, !fusco.plan<@ep> -> !send
  %2 = fusco.unpermute %send by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %1, %2 : !send, tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @combine_and_permute(%y: !rows, %x: tensor<?x16xbf16>, %p: !fusco.plan<@ep>) -> (!send, tensor<?x16xbf16>) {
  // expected-error@+1 {{expected to begin the chain unpermute, all_to_all, unpermute}}
  %0 = fusco.unpermute %y by %p : !rows, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %0 by %p : !recv, !fusco.plan<@ep> -> !send
  %2 = fusco.unpermute %1 by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  %3 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  return %3, %2 : !send, tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
func.func @stray_permute(%y: !rows, %p: !fusco.plan<@ep>) -> !send {
  %0 = fusco.combine %y by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  // expected-error@+1 {{'fusco.permute' op expected in an unfused dispatch or combine}}
  %1 = fusco.permute %0 by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  return %1 : !send
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @stray_exchange(%y: !rows, %send: !send, %p: !fusco.plan<@ep>) -> (!recv, tensor<?x16xbf16>) {
  // expected-error@+1 {{'fusco.all_to_all' op expected in an unfused dispatch or combine}}
  %0 = fusco.all_to_all %send by %p : !send, !fusco.plan<@ep> -> !recv
  %1 = fusco.combine %y by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %0, %1 : !recv, tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
func.func @stray_sum(%send: !send, %ids: tensor<?x2xi32>)
    -> (!rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-error@+1 {{'fusco.unpermute' op expected in an unfused dispatch or combine}}
  %0 = fusco.unpermute %send by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  %r:3 = fusco.dispatch %0 by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2, %p : !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}

// -----

// What fusco-fuse-shuffle leaves: a cast of the sum, which is in bf16 already.
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @stray_cast(%y: !rows, %p: !fusco.plan<@ep>) -> tensor<?x16xf32> {
  %0 = fusco.combine %y by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  // expected-error@+1 {{'fusco.cast' op expected a cast of the tokens, before an unfused dispatch; what fusco-fuse-shuffle takes in is compiled too, and its option 'remarks' says why this one was not}}
  %1 = fusco.cast %0 : tensor<?x16xbf16> -> tensor<?x16xf32>
  return %1 : tensor<?x16xf32>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @cast_of_rows(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>)
    -> (tensor<?x16xf32, #fusco.expert_major<align = 8>>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %0 by %p : !send, !fusco.plan<@ep> -> !recv
  %2 = fusco.permute %1 by %p : !recv, !fusco.plan<@ep> -> !rows
  // expected-error@+1 {{'fusco.cast' op expected a cast of the tokens, before an unfused dispatch}}
  %3 = fusco.cast %2 : !rows -> tensor<?x16xf32, #fusco.expert_major<align = 8>>
  return %3, %p : tensor<?x16xf32, #fusco.expert_major<align = 8>>, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @gradient_beside_combine(%dout: tensor<?x16xbf16>, %y: !rows, %p: !fusco.plan<@ep>)
    -> (tensor<?x16xbf16>, tensor<?x2xf32>) {
  %0 = fusco.combine %y by %p : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  // expected-error@+1 {{'fusco.weight_gradient' op expected beside the dispatch of 'dout' by the same plan}}
  %1 = fusco.weight_gradient %dout, %y by %p : tensor<?x16xbf16>, !rows, !fusco.plan<@ep> -> tensor<?x2xf32>
  return %0, %1 : tensor<?x16xbf16>, tensor<?x2xf32>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @gradient_of_other_tokens(%x: tensor<?x16xbf16>, %dout: tensor<?x16xbf16>, %y: !rows, %p: !fusco.plan<@ep>)
    -> (!rows, tensor<?x2xf32>) {
  %r:3 = fusco.dispatch %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  // expected-error@+1 {{expected beside the dispatch of 'dout' by the same plan}}
  %1 = fusco.weight_gradient %dout, %y by %p : tensor<?x16xbf16>, !rows, !fusco.plan<@ep> -> tensor<?x2xf32>
  return %r#0, %1 : !rows, tensor<?x2xf32>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!wide = tensor<?x16xf32, #fusco.expert_major<align = 8>>
func.func @gradient_of_other_type(%dout: tensor<?x16xbf16>, %y: !wide, %p: !fusco.plan<@ep>)
    -> (!rows, tensor<?x2xf32>) {
  %r:3 = fusco.dispatch %dout by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  // expected-error@+1 {{expected 'y' to have the type of the dispatched rows, 'tensor<?x16xbf16, #fusco.expert_major<align = 8>>', got 'tensor<?x16xf32, #fusco.expert_major<align = 8>>'}}
  %1 = fusco.weight_gradient %dout, %y by %p : tensor<?x16xbf16>, !wide, !fusco.plan<@ep> -> tensor<?x2xf32>
  return %r#0, %1 : !rows, tensor<?x2xf32>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @gradient_of_dealt_rows(%dout: tensor<?x16xbf16>, %y: !rows, %p: !fusco.plan<@ep>)
    -> (!rows, tensor<?x2xf32>) {
  %r:3 = fusco.dispatch %dout by %p
    hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 0, forwarders = balanced>,
          #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 0>]
    : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  // expected-error@+1 {{expected the dispatch of 'dout' to have forwarders rail or groups, which bring gradients back, got balanced}}
  %1 = fusco.weight_gradient %dout, %y by %p : tensor<?x16xbf16>, !rows, !fusco.plan<@ep> -> tensor<?x2xf32>
  return %r#0, %1 : !rows, tensor<?x2xf32>
}

// -----

//===----------------------------------------------------------------------===//
// Functions: what they take and return
//===----------------------------------------------------------------------===//

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
func.func @x_twice(%x: tensor<?x2xf32>, %ids: tensor<?x2xi32>)
    -> (!rows, !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-error@+1 {{'fusco.dispatch' op expected 'x_1' to be another tensor than 'x'}}
  %r:4 = fusco.dispatch %x, %x by %p : (tensor<?x2xf32>, tensor<?x2xf32>), !fusco.plan<@ep>
    -> (!rows, !rows), tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2, %r#3, %p : !rows, !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
func.func @static_tokens(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<4x16xbf16> {
  // expected-error@+1 {{expected 'out' to have a number of rows that is known at run time only, '?', got 'tensor<4x16xbf16>'}}
  %0 = fusco.combine %y by %plan : !rows, !fusco.plan<@ep> -> tensor<4x16xbf16>
  return %0 : tensor<4x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!static = tensor<32x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @static_rows(%y: !static, %p: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected 'y' to have a number of rows that is known at run time only, '?', got 'tensor<32x16xbf16, #fusco.expert_major<align = 8>>'}}
  %0 = fusco.unpermute %y by %p : !static, !fusco.plan<@ep> -> !recv
  %1 = fusco.all_to_all %0 by %p : !recv, !fusco.plan<@ep> -> !send
  %2 = fusco.unpermute %1 by %p : !send, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %2 : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
func.func @rows_dropped(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> !fusco.plan<@ep> {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %0 by %p : !send, !fusco.plan<@ep> -> !recv
  // expected-error@+1 {{'fusco.permute' op expected 'rows' to be returned by the function}}
  %2 = fusco.permute %1 by %p : !recv, !fusco.plan<@ep> -> !rows
  return %p : !fusco.plan<@ep>
}

// -----

// What lies between the steps is the program's own business.
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
// expected-error@+1 {{expected every tensor to be used once, result of type 'tensor<?x16xbf16, #fusco.device_major<source>>' is not}}
func.func @workspace_returned(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (!rows, !recv, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  %0 = fusco.permute %x by %p : tensor<?x16xbf16>, !fusco.plan<@ep> -> !send
  %1 = fusco.all_to_all %0 by %p : !send, !fusco.plan<@ep> -> !recv
  %2 = fusco.permute %1 by %p : !recv, !fusco.plan<@ep> -> !rows
  return %2, %1, %p : !rows, !recv, !fusco.plan<@ep>
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

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>
func.func @quantize_alone(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (!rows, tensor<?x4xf32>, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-error@+1 {{'fusco.quantize' op expected in the transform of a dispatch; fusco-fuse-shuffle puts it there, and its option 'remarks' says why it did not}}
  %data, %scales = fusco.quantize %x block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
  %r:3 = fusco.dispatch %data by %p : tensor<?x16xf8E4M3FN>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %scales, %p : !rows, tensor<?x4xf32>, !fusco.plan<@ep>
}

// -----

// All of what a dispatch moves is the function's.
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>
!scales = tensor<?x4xf32, #fusco.expert_major<align = 8>>
func.func @scales_dropped(%x: tensor<?x16xf8E4M3FN>, %s: tensor<?x4xf32>, %ids: tensor<?x2xi32>) -> (!data, !fusco.plan<@ep>) {
  %p = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  // expected-error@+1 {{'fusco.dispatch' op expected 'rows_1' to be returned by the function}}
  %r:4 = fusco.dispatch %x, %s by %p : (tensor<?x16xf8E4M3FN>, tensor<?x4xf32>), !fusco.plan<@ep>
    -> (!data, !scales), tensor<2xi32>, tensor<3xi32>
  return %r#0, %p : !data, !fusco.plan<@ep>
}
