// One test for each constraint of the fusco dialect, named after its label.
// RUN: fusco-opt %s -split-input-file -verify-diagnostics

//===----------------------------------------------------------------------===//
// Topology and layouts
//===----------------------------------------------------------------------===//

// expected-error@+2 {{expected at least 1 node and 1 rank per node, got 0 and 4}}
fusco.group @topology_c1 {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 0, ranks_per_node = 4>, placement = <block>}

// -----

// expected-error@+2 {{expected at least 1 node and 1 rank per node, got 2 and -1}}
fusco.group @topology_c1_ranks {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = -1>, placement = <block>}

// -----

// expected-error@+2 {{expected at most 65536 ranks, got 16384 nodes of 8}}
fusco.group @topology_c2 {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 16384, ranks_per_node = 8>, placement = <block>}

// -----

// A product that does not fit in 64 bits.
// expected-error@+2 {{expected at most 65536 ranks, got 4611686018427387904 nodes of 4}}
fusco.group @topology_c2_overflow {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 4611686018427387904, ranks_per_node = 4>, placement = <block>}

// -----

// expected-error@+2 {{expected 'memory_gbps' of at least 1, got -1}}
fusco.group @topology_c3 {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 4, memory_gbps = -1>, placement = <block>}

// -----

// expected-error@+2 {{expected 'scale_out_gbps' of at least 1, got -50}}
fusco.group @topology_c3_scale_out {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 4, scale_out_gbps = -50>, placement = <block>}

// -----

// expected-error@+1 {{expected rows of shape [rows, hidden], got 1 dimensions}}
func.func private @layout_c1(tensor<4xbf16, #fusco.token_major>)

// -----

// expected-error@+1 {{expected rows of shape [rows, hidden], got 3 dimensions}}
func.func private @layout_c1_expert_major(tensor<1x4x4xbf16, #fusco.expert_major<align = 1>>)

// -----

// expected-error@+1 {{expected at least 1 row where the number is static}}
func.func private @layout_c1_no_rows(tensor<0x4xbf16, #fusco.token_major>)

// -----

// expected-error@+1 {{expected a static hidden size of at least 1, got ?}}
func.func private @layout_c1_rank_major(tensor<?x?xbf16, #fusco.rank_major>)

// -----

// expected-error@+1 {{expected a static hidden size of at least 1, got 0}}
func.func private @layout_c1_device_major(tensor<?x0xbf16, #fusco.device_major<source>>)

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @layout_c1_no_encoding(%x: tensor<?x?xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a static hidden size of at least 1, got ?}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x?xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

// expected-error@+1 {{expected 'align' from 1 to 65536, got 0}}
func.func private @expert_major_c1(tensor<?x4xbf16, #fusco.expert_major<align = 0>>)

// -----

// expected-error@+1 {{expected 'align' from 1 to 65536, got 65537}}
func.func private @expert_major_c1_large(tensor<?x4xbf16, #fusco.expert_major<align = 65537>>)

// -----

// expected-error@+1 {{expected 'capacity' of at least 1, got 0}}
func.func private @expert_slots_c1(tensor<2x0x4xbf16, #fusco.expert_slots<capacity = 0>>)

// -----

// expected-error@+1 {{expected the shape [experts, capacity, hidden], got 2 dimensions}}
func.func private @expert_slots_c2(tensor<?x4xbf16, #fusco.expert_slots<capacity = 5>>)

// -----

// expected-error@+1 {{expected dimension 1 to be the capacity 5, got 6}}
func.func private @expert_slots_c2_capacity(tensor<2x6x4xbf16, #fusco.expert_slots<capacity = 5>>)

// -----

//===----------------------------------------------------------------------===//
// Hops
//===----------------------------------------------------------------------===//

// expected-error@+2 {{expected rows of a scale_up hop to be unique per assignment or rank, got node}}
func.func private @hop_c1() attributes {
  hop = #fusco.hop<scope = scale_up, unique = node, mode = push, wire = bf16, bytes_per_token = 0>}

// -----

// expected-error@+2 {{expected 'wire' to be bf16, f16, f32, f8E4M3FN, f8E5M2 or i32, got 'f64'}}
func.func private @hop_c2() attributes {
  hop = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f64, bytes_per_token = 0>}

// -----

// expected-error@+2 {{expected 'bytes_per_token' of at least 0, got -1}}
func.func private @hop_c3() attributes {
  hop = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = -1>}

// -----

// expected-error@+2 {{expected only a scale_up hop per assignment to pull, got a scale_up hop per rank}}
func.func private @hop_c4() attributes {
  hop = #fusco.hop<scope = scale_up, unique = rank, mode = pull, wire = bf16, bytes_per_token = 0>}

// -----

// expected-error@+2 {{expected only a scale_up hop per assignment to pull, got a scale_out hop per assignment}}
func.func private @hop_c4_scale_out() attributes {
  hop = #fusco.hop<scope = scale_out, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 0>}

// -----

// expected-error@+2 {{expected 'forwarders' of a scale_out hop only, got balanced on a scale_up hop}}
func.func private @hop_c5() attributes {
  hop = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 0, forwarders = balanced>}

// -----

//===----------------------------------------------------------------------===//
// group, plan
//===----------------------------------------------------------------------===//

// expected-error@+2 {{expected 'redundant' of at least 0, and 0 with 'block', got 2 with 'block'}}
fusco.group @placement_c1 {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block, redundant = 2>}

// -----

// expected-error@+1 {{expected at most 2147483647 physical experts, got 8 and 2147483640 redundant ones}}
fusco.group @group_c4_physical {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <table, redundant = 2147483640>}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <table, redundant = 2>}
func.func @plan_c4(%ids: tensor<?x2xi32>) {
  // expected-error@+1 {{expected a placement of the group's physical experts, got none}}
  %0 = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@ep>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @plan_c4_block(%ids: tensor<?x2xi32>, %table: tensor<8xi32>) {
  // expected-error@+1 {{expected a placement only where the group's is a 'table', got one}}
  %0 = fusco.plan %ids placed %table in @ep : tensor<?x2xi32> placed tensor<8xi32> -> !fusco.plan<@ep>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <table, redundant = 2>}
func.func @plan_c4_size(%ids: tensor<?x2xi32>, %table: tensor<8xi32>) {
  // expected-error@+1 {{expected a placement of 10 physical experts, got 'tensor<8xi32>'}}
  %0 = fusco.plan %ids placed %table in @ep : tensor<?x2xi32> placed tensor<8xi32> -> !fusco.plan<@ep>
  return
}

// -----

// expected-error@+1 {{'fusco.group' op expected at least 1 expert, got 0}}
fusco.group @group_c1 {experts = 0, topk = 1, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// -----

// expected-error@+1 {{expected 'topk' from 1 to 8 (the experts), got 0}}
fusco.group @group_c2 {experts = 8, topk = 0, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// -----

// expected-error@+1 {{expected 'topk' from 1 to 8 (the experts), got 9}}
fusco.group @group_c2_large {experts = 8, topk = 9, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// -----

// expected-error@+1 {{expected 'max_tokens' of at least 0, got -1}}
fusco.group @group_c3 {experts = 8, topk = 2, max_tokens = -1,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// -----

// One more token would be the first not to fit.
fusco.group @group_c4_fits {experts = 8, topk = 2, max_tokens = 268435455,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
// expected-error@+1 {{expected at most 2147483647 rows on a rank, got 4 ranks of 268435456 tokens times 2}}
fusco.group @group_c4 {experts = 8, topk = 2, max_tokens = 268435456,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// -----

// A product that does not fit in 64 bits.
// expected-error@+1 {{expected at most 2147483647 rows on a rank, got 65536 ranks of 9223372036854775807 tokens times 8}}
fusco.group @group_c4_overflow {experts = 8, topk = 8, max_tokens = 9223372036854775807,
  topology = <nodes = 65536, ranks_per_node = 1>, placement = <block>}

// -----

func.func @plan_c1(%ids: tensor<?x2xi32>) {
  // expected-error@+1 {{expected @nothing to name a 'fusco.group'}}
  %0 = fusco.plan %ids in @nothing : tensor<?x2xi32> -> !fusco.plan<@nothing>
  return
}

// -----

func.func @plan_c1_other_op(%ids: tensor<?x2xi32>) {
  // expected-error@+1 {{expected @plan_c1_other_op to name a 'fusco.group'}}
  %0 = fusco.plan %ids in @plan_c1_other_op : tensor<?x2xi32> -> !fusco.plan<@plan_c1_other_op>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @plan_c1_type(%ids: tensor<?x2xi32>) {
  // expected-error@+1 {{expected a plan of @ep, got '!fusco.plan<@other>'}}
  %0 = fusco.plan %ids in @ep : tensor<?x2xi32> -> !fusco.plan<@other>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @plan_c2(%ids: tensor<?x3xi32>) {
  // expected-error@+1 {{expected ids of shape [?, 2], got 'tensor<?x3xi32>'}}
  %0 = fusco.plan %ids in @ep : tensor<?x3xi32> -> !fusco.plan<@ep>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @plan_c2_static(%ids: tensor<4x2xi32>) {
  // expected-error@+1 {{expected ids of shape [?, 2], got 'tensor<4x2xi32>'}}
  %0 = fusco.plan %ids in @ep : tensor<4x2xi32> -> !fusco.plan<@ep>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @plan_c3(%ids: tensor<?x2xi32>, %weights: tensor<?x3xf32>) {
  // expected-error@+1 {{expected weights of the shape of the ids, 'tensor<?x2xi32>', got 'tensor<?x3xf32>'}}
  %0 = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x3xf32> -> !fusco.plan<@ep>
  return
}

// -----

//===----------------------------------------------------------------------===//
// dispatch, combine
//===----------------------------------------------------------------------===//

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c1(%x: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'x' to be token-major, got 'tensor<?x16xbf16, #fusco.rank_major>'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16, #fusco.rank_major>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c2(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'rows' in the layout expert_major, rank_major or expert_slots, got 'tensor<?x16xbf16>'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c2_foreign(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'rows' in the layout expert_major, rank_major or expert_slots, got 'tensor<?x16xbf16, 1 : i64>'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, 1 : i64>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c2_unlike(%x: tensor<?x16xbf16>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected all rows in one layout, got '#fusco.expert_major<align = 8>' beside '#fusco.expert_major<align = 1>'}}
  %0:4 = fusco.dispatch %x, %s by %plan : (tensor<?x16xbf16>, tensor<?x4xf32>), !fusco.plan<@ep>
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 8>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c3(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of hidden size 16, got 8}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x8xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c3_second(%x: tensor<?x16xbf16>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of hidden size 4, got 16}}
  %0:4 = fusco.dispatch %x, %s by %plan : (tensor<?x16xbf16>, tensor<?x4xf32>), !fusco.plan<@ep>
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<?x16xf32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c3_count(%x: tensor<?x16xbf16>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected as many results of rows as tensors to dispatch, 2, got 1}}
  %0:3 = fusco.dispatch %x, %s by %plan : (tensor<?x16xbf16>, tensor<?x4xf32>), !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

func.func @dispatch_c4(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@nothing>) {
  // expected-error@+1 {{expected @nothing to name a 'fusco.group'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@nothing>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 9, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c5(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'counts' of 3 entries and 'offsets' of 4, got 'tensor<2xi32>' and 'tensor<4xi32>'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<4xi32>
  return
}

// -----

fusco.group @ep {experts = 9, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c5_offsets(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'counts' of 3 entries and 'offsets' of 4, got 'tensor<3xi32>' and 'tensor<?xi32>'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<3xi32>, tensor<?xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c6(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a cast among bf16, f16 and f32, got 'bf16' to 'f8E4M3FN'; to quantise rows, take a 'transform' with a 'fusco.quantize'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c6_from(%x: tensor<?x16xi32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a cast among bf16, f16 and f32, got 'i32' to 'f32'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xi32>, !fusco.plan<@ep>
    -> tensor<?x16xf32, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c7(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a transform of ('tensor<?x16xbf16>'), got one of ('tensor<?x16xf32>')}}
  %0:4 = fusco.dispatch %x by %plan transform {
  ^bb0(%row: tensor<?x16xf32>):
    %data, %scale = fusco.quantize %row block 4 : tensor<?x16xf32> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    fusco.yield %data, %scale : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c7_yields(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a transform that yields ('tensor<?x16xf8E4M3FN>', 'tensor<?x4xf32>'), the rows without their layout}}
  %0:4 = fusco.dispatch %x by %plan transform {
  ^bb0(%row: tensor<?x16xbf16>):
    %data, %scale = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    fusco.yield %scale, %data : tensor<?x4xf32>, tensor<?x16xf8E4M3FN>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c7_other_end(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a transform that yields ('tensor<?x16xf8E4M3FN>', 'tensor<?x4xf32>'), the rows without their layout}}
  %0:4 = fusco.dispatch %x by %plan transform {
  ^bb0(%row: tensor<?x16xbf16>):
    %data, %scale = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c8(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  %0:3 = fusco.dispatch %x by %plan transform {
  ^bb0(%row: tensor<?x16xbf16>):
    // expected-error@+1 {{'fusco.cast' op expected an operation that makes a row of a row, 'fusco.quantize', in a transform}}
    %wide = fusco.cast %row : tensor<?x16xbf16> -> tensor<?x16xf32>
    fusco.yield %wide : tensor<?x16xf32>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xf32, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c8_other_row(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  %0:4 = fusco.dispatch %x by %plan transform {
  ^bb0(%row: tensor<?x16xbf16>):
    // expected-error@+1 {{'fusco.quantize' op expected a row of the transform's arguments, and both results to be yielded, once}}
    %data, %scale = fusco.quantize %x block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    fusco.yield %data, %scale : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c8_unused(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  %0:3 = fusco.dispatch %x by %plan transform {
  ^bb0(%row: tensor<?x16xbf16>):
    // expected-error@+1 {{expected a row of the transform's arguments, and both results to be yielded, once}}
    %data, %scale = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    fusco.yield %data : tensor<?x16xf8E4M3FN>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c8_twice(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  %0:5 = fusco.dispatch %x by %plan transform {
  ^bb0(%row: tensor<?x16xbf16>):
    // expected-error@+1 {{expected a row of the transform's arguments, and both results to be yielded, once}}
    %data, %scale = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    fusco.yield %data, %scale, %scale : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>, tensor<?x4xf32>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 1>>,
        tensor<?x4xf32, #fusco.expert_major<align = 1>>), tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c9(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a 'weighted' dispatch of one x of bf16, f16 or f32, without a 'transform'}}
  %0:4 = fusco.dispatch %x by %plan weighted transform {
  ^bb0(%row: tensor<?x16xbf16>):
    %data, %scale = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    fusco.yield %data, %scale : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
  } : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c9_two(%x: tensor<?x16xbf16>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a 'weighted' dispatch of one x of bf16, f16 or f32, without a 'transform'}}
  %0:4 = fusco.dispatch %x, %s by %plan weighted : (tensor<?x16xbf16>, tensor<?x4xf32>), !fusco.plan<@ep>
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<?x4xf32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c9_float8(%x: tensor<?x16xf8E5M2>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a 'weighted' dispatch of one x of bf16, f16 or f32, without a 'transform'}}
  %0:3 = fusco.dispatch %x by %plan weighted : tensor<?x16xf8E5M2>, !fusco.plan<@ep>
    -> tensor<?x16xf8E5M2, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c10(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected from 1 to 4 results of rows, got 5}}
  %0:7 = fusco.dispatch %x, %x, %x, %x, %x by %plan
    : (tensor<?x16xbf16>, tensor<?x16xbf16>, tensor<?x16xbf16>, tensor<?x16xbf16>, tensor<?x16xbf16>), !fusco.plan<@ep>
    -> (tensor<?x16xbf16, #fusco.rank_major>, tensor<?x16xbf16, #fusco.rank_major>, tensor<?x16xbf16, #fusco.rank_major>,
        tensor<?x16xbf16, #fusco.rank_major>, tensor<?x16xbf16, #fusco.rank_major>), tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c10_none(%plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected from 1 to 4 results of rows, got 0}}
  %0:2 = "fusco.dispatch"(%plan) <{resultSegmentSizes = array<i32: 0, 1, 1, 0, 0, 0>}> ({}) : (!fusco.plan<@ep>) -> (tensor<2xi32>, tensor<3xi32>)
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c7_empty(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a transform that yields ('tensor<?x16xbf16>'), the rows without their layout}}
  %0:3 = "fusco.dispatch"(%x, %plan) <{resultSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>}> ({
  ^bb0(%row: tensor<?x16xbf16>):
  }) : (tensor<?x16xbf16>, !fusco.plan<@ep>) -> (tensor<?x16xbf16, #fusco.rank_major>, tensor<2xi32>, tensor<3xi32>)
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c11(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected slots of 2 experts, as many as a rank has at most, got 'tensor<8x4x16xbf16, #fusco.expert_slots<capacity = 4>>'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<8x4x16xbf16, #fusco.expert_slots<capacity = 4>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c12(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'local_ids' to be the number of a tensor of integers with 2 columns, moved to rank_major as it is, got 1 of 1}}
  %0:3 = fusco.dispatch %x by %plan local_ids 1 : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.rank_major>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c12_layout(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{with 2 columns, moved to rank_major as it is, got 'tensor<?x2xi32, #fusco.expert_major<align = 1>>'}}
  %0:4 = fusco.dispatch %x, %ids by %plan local_ids 1 : (tensor<?x16xbf16>, tensor<?x2xi32>), !fusco.plan<@ep>
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<?x2xi32, #fusco.expert_major<align = 1>>),
       tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c5_rank_major(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'counts' of 1 entries and 'offsets' of 2, got 'tensor<2xi32>' and 'tensor<3xi32>'}}
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.rank_major>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c7(%y: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected rank-major rows, which several experts may have made, to be weighted already; got 'weighted'}}
  %0 = fusco.combine %y by %plan weighted
    : tensor<?x16xbf16, #fusco.rank_major>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c1(%y: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'y' in the layout expert_major, rank_major or expert_slots, got 'tensor<?x16xbf16>'}}
  %0 = fusco.combine %y by %plan : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c2(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a token-major result, got 'tensor<?x16xbf16, #fusco.expert_major<align = 1>>'}}
  %0 = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c3(%y: tensor<2x5x16xbf16, #fusco.expert_slots<capacity = 5>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of hidden size 16, got 5}}
  %0 = fusco.combine %y by %plan : tensor<2x5x16xbf16, #fusco.expert_slots<capacity = 5>>, !fusco.plan<@ep>
    -> tensor<?x5xbf16>
  return
}

// -----

func.func @combine_c4(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@nothing>) {
  // expected-error@+1 {{expected @nothing to name a 'fusco.group'}}
  %0 = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@nothing>
    -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c5(%y: tensor<3x4x16xbf16, #fusco.expert_slots<capacity = 4>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected slots of 2 experts, as many as a rank has at most, got 'tensor<3x4x16xbf16, #fusco.expert_slots<capacity = 4>>'}}
  %0 = fusco.combine %y by %plan : tensor<3x4x16xbf16, #fusco.expert_slots<capacity = 4>>, !fusco.plan<@ep>
    -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c6(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %r: tensor<?x8xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a token-major summand of hidden size 16, got 'tensor<?x8xbf16>'}}
  %0 = fusco.combine %y by %plan plus %r
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>, tensor<?x8xbf16> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c6_layout(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>,
                             %r: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a token-major summand of hidden size 16, got 'tensor<?x16xbf16, #fusco.rank_major>'}}
  %0 = fusco.combine %y by %plan plus %r
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>, tensor<?x16xbf16, #fusco.rank_major>
    -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c6_number(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %r: tensor<1x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected at most 2 summands, got 3}}
  %0 = fusco.combine %y by %plan plus %r, %r, %r
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>, tensor<1x16xbf16>, tensor<1x16xbf16>, tensor<1x16xbf16> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c8(%y: tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'y' of bf16, f16 or f32, or of float8 and 'scaled', got 'tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>'}}
  %0 = fusco.combine %y by %plan
    : tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c8_type(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %s: tensor<?x4xf32, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'y' that is 'scaled' to be of f8E4M3FN or f8E5M2, got 'tensor<?x16xbf16, #fusco.expert_major<align = 1>>'}}
  %0 = fusco.combine %y scaled %s block 4 by %plan
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>> scaled tensor<?x4xf32, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c8_block(%y: tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, %s: tensor<?x1xf32, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'block' from 1 to 16, the hidden size, got 17}}
  %0 = fusco.combine %y scaled %s block 17 by %plan
    : tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>> scaled tensor<?x1xf32, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c8_scales(%y: tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a row of 4 scales for each row of the input, got 'tensor<?x4xf32>'}}
  %0 = fusco.combine %y scaled %s block 4 by %plan
    : tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>> scaled tensor<?x4xf32>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @combine_c9(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'partials' to be f32 or bf16, got 'f16'}}
  %0 = fusco.combine %y by %plan partials f16
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

//===----------------------------------------------------------------------===//
// cast
//===----------------------------------------------------------------------===//

func.func @cast_c1(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected shape and layout to be kept, got 'tensor<?x16xbf16>' to 'tensor<?x8xf32>'}}
  %0 = fusco.cast %x : tensor<?x16xbf16> -> tensor<?x8xf32>
  return
}

// -----

func.func @cast_c1_layout(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected shape and layout to be kept, got 'tensor<?x16xbf16>' to 'tensor<?x16xf32, #fusco.rank_major>'}}
  %0 = fusco.cast %x : tensor<?x16xbf16> -> tensor<?x16xf32, #fusco.rank_major>
  return
}

// -----

func.func @cast_c2(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected another element type than that of the input, got 'bf16'}}
  %0 = fusco.cast %x : tensor<?x16xbf16> -> tensor<?x16xbf16>
  return
}

// -----

func.func @layout_c1_cast(%x: tensor<?x?xbf16>) {
  // expected-error@+1 {{expected a static hidden size of at least 1, got ?}}
  %0 = fusco.cast %x : tensor<?x?xbf16> -> tensor<?x?xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// quantize
//===----------------------------------------------------------------------===//

func.func @quantize_c1(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected 'block' from 1 to 16, the hidden size, got 0}}
  %0:2 = fusco.quantize %x block 0 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
  return
}

// -----

func.func @quantize_c1_large(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected 'block' from 1 to 16, the hidden size, got 17}}
  %0:2 = fusco.quantize %x block 17 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x1xf32>
  return
}

// -----

func.func @quantize_c2(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected rows of f8E4M3FN or f8E5M2 in the input's shape and layout, got 'tensor<?x16xbf16>' to 'tensor<?x8xf8E4M3FN>'}}
  %0:2 = fusco.quantize %x block 4 : tensor<?x16xbf16> -> tensor<?x8xf8E4M3FN>, tensor<?x4xf32>
  return
}

// -----

func.func @quantize_c2_layout(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected rows of f8E4M3FN or f8E5M2 in the input's shape and layout, got 'tensor<?x16xbf16>' to 'tensor<?x16xf8E5M2, #fusco.rank_major>'}}
  %0:2 = fusco.quantize %x block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E5M2, #fusco.rank_major>, tensor<?x4xf32>
  return
}

// -----

func.func @quantize_c2_type(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected rows of f8E4M3FN or f8E5M2 in the input's shape and layout, got 'tensor<?x16xbf16>' to 'tensor<?x16xf16>'}}
  %0:2 = fusco.quantize %x block 4 : tensor<?x16xbf16> -> tensor<?x16xf16>, tensor<?x4xf32>
  return
}

// -----

func.func @quantize_c3(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected scales of f32, or of i32 for four powers of two each, got 'bf16'}}
  %0:2 = fusco.quantize %x block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xbf16>
  return
}

// -----

// The last block is shorter.
func.func @quantize_c3_columns(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected a row of 6 scales for each row of the input, got 'tensor<?x5xf32>'}}
  %0:2 = fusco.quantize %x block 3 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x5xf32>
  return
}

// -----

// Six scales, four to a number.
func.func @quantize_c3_packed(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected a row of 2 scales for each row of the input, got 'tensor<?x6xi32>'}}
  %0:2 = fusco.quantize %x block 3 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x6xi32>
  return
}

// -----

func.func @quantize_c3_rows(%x: tensor<5x16xbf16>) {
  // expected-error@+1 {{expected a row of 4 scales for each row of the input, got 'tensor<6x4xf32>'}}
  %0:2 = fusco.quantize %x block 4 : tensor<5x16xbf16> -> tensor<5x16xf8E4M3FN>, tensor<6x4xf32>
  return
}

// -----

func.func @quantize_c3_layout(%x: tensor<?x16xbf16>) {
  // expected-error@+1 {{expected a row of 4 scales for each row of the input, got 'tensor<?x4xf32, #fusco.rank_major>'}}
  %0:2 = fusco.quantize %x block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32, #fusco.rank_major>
  return
}

// -----

//===----------------------------------------------------------------------===//
// dequantize
//===----------------------------------------------------------------------===//

func.func @dequantize_c1(%q: tensor<?x16xf8E4M3FN>, %s: tensor<?x4xf32>) {
  // expected-error@+1 {{expected 'block' from 1 to 16, the hidden size, got 0}}
  %0 = fusco.dequantize %q, %s block 0 : tensor<?x16xf8E4M3FN>, tensor<?x4xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @dequantize_c2(%q: tensor<?x16xbf16>, %s: tensor<?x4xf32>) {
  // expected-error@+1 {{expected rows of f8E4M3FN or f8E5M2, got 'tensor<?x16xbf16>'}}
  %0 = fusco.dequantize %q, %s block 4 : tensor<?x16xbf16>, tensor<?x4xf32> -> tensor<?x16xf32>
  return
}

// -----

func.func @dequantize_c3(%q: tensor<?x16xf8E5M2>, %s: tensor<?x4xf16>) {
  // expected-error@+1 {{expected scales of f32, or of i32 for four powers of two each, got 'f16'}}
  %0 = fusco.dequantize %q, %s block 4 : tensor<?x16xf8E5M2>, tensor<?x4xf16> -> tensor<?x16xf32>
  return
}

// -----

func.func @dequantize_c3_columns(%q: tensor<?x16xf8E5M2>, %s: tensor<?x4xi32>) {
  // expected-error@+1 {{expected a row of 1 scales for each row of the input, got 'tensor<?x4xi32>'}}
  %0 = fusco.dequantize %q, %s block 4 : tensor<?x16xf8E5M2>, tensor<?x4xi32> -> tensor<?x16xf32>
  return
}

// -----

func.func @dequantize_c4(%q: tensor<?x16xf8E5M2>, %s: tensor<?x4xf32>) {
  // expected-error@+1 {{expected rows of f32 in the input's shape and layout, got 'tensor<?x16xf8E5M2>' to 'tensor<?x16xbf16>'}}
  %0 = fusco.dequantize %q, %s block 4 : tensor<?x16xf8E5M2>, tensor<?x4xf32> -> tensor<?x16xbf16>
  return
}

// -----

//===----------------------------------------------------------------------===//
// permute, all_to_all, unpermute
//===----------------------------------------------------------------------===//

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @permute_c1(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected the layouts token-major to device_major<destination> or device_major<source> to expert_major, got '#fusco.token_major' to '#fusco.device_major<source>'}}
  %0 = fusco.permute %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.device_major<source>>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @permute_c2(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of hidden size 16, got 32}}
  %0 = fusco.permute %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x32xbf16, #fusco.device_major<destination>>
  return
}

// -----

func.func @permute_c3(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@nothing>) {
  // expected-error@+1 {{expected @nothing to name a 'fusco.group'}}
  %0 = fusco.permute %x by %plan : tensor<?x16xbf16>, !fusco.plan<@nothing>
    -> tensor<?x16xbf16, #fusco.device_major<destination>>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @all_to_all_c1(%x: tensor<?x16xbf16, #fusco.device_major<source>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected the layouts device_major<destination> to device_major<source> or back, got '#fusco.device_major<source>' to '#fusco.device_major<source>'}}
  %0 = fusco.all_to_all %x by %plan : tensor<?x16xbf16, #fusco.device_major<source>>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.device_major<source>>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @all_to_all_c2(%x: tensor<?x16xbf16, #fusco.device_major<source>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of element type 'bf16', got 'f32'}}
  %0 = fusco.all_to_all %x by %plan : tensor<?x16xbf16, #fusco.device_major<source>>, !fusco.plan<@ep>
    -> tensor<?x16xf32, #fusco.device_major<destination>>
  return
}

// -----

func.func @all_to_all_c3(%x: tensor<?x16xbf16, #fusco.device_major<source>>, %plan: !fusco.plan<@nothing>) {
  // expected-error@+1 {{expected @nothing to name a 'fusco.group'}}
  %0 = fusco.all_to_all %x by %plan : tensor<?x16xbf16, #fusco.device_major<source>>, !fusco.plan<@nothing>
    -> tensor<?x16xbf16, #fusco.device_major<destination>>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @unpermute_c1(%x: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected the layouts expert_major to device_major<source> or device_major<destination> to token-major, got '#fusco.expert_major<align = 1>' to '#fusco.token_major'}}
  %0 = fusco.unpermute %x by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>
    -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @unpermute_c2(%x: tensor<?x16xbf16, #fusco.device_major<destination>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of hidden size 16, got 1}}
  %0 = fusco.unpermute %x by %plan : tensor<?x16xbf16, #fusco.device_major<destination>>, !fusco.plan<@ep>
    -> tensor<?x1xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @unpermute_c2_element(%x: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of element type 'bf16', got 'f32'}}
  %0 = fusco.unpermute %x by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>
    -> tensor<?x16xf32, #fusco.device_major<source>>
  return
}

// -----

func.func @unpermute_c3(%x: tensor<?x16xbf16, #fusco.device_major<destination>>, %plan: !fusco.plan<@nothing>) {
  // expected-error@+1 {{expected @nothing to name a 'fusco.group'}}
  %0 = fusco.unpermute %x by %plan : tensor<?x16xbf16, #fusco.device_major<destination>>, !fusco.plan<@nothing>
    -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @unpermute_c4(%x: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'weighted' only on the sum into token-major, got it on '#fusco.device_major<source>'}}
  %0 = fusco.unpermute %x by %plan weighted : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.device_major<source>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// weight_gradient
//===----------------------------------------------------------------------===//

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @weight_gradient_c1(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'dout' to be token-major, got 'tensor<?x16xbf16, #fusco.expert_major<align = 1>>'}}
  %0 = fusco.weight_gradient %y, %y by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 1>>,
    tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x2xf32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @weight_gradient_c2(%dout: tensor<?x16xbf16>, %y: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'y' to be expert-major, got 'tensor<?x16xbf16, #fusco.rank_major>'}}
  %0 = fusco.weight_gradient %dout, %y by %plan : tensor<?x16xbf16>,
    tensor<?x16xbf16, #fusco.rank_major>, !fusco.plan<@ep> -> tensor<?x2xf32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @weight_gradient_c3(%dout: tensor<?x16xbf16>, %y: tensor<?x8xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'y' of the hidden size of 'dout', 16, got 8}}
  %0 = fusco.weight_gradient %dout, %y by %plan : tensor<?x16xbf16>,
    tensor<?x8xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x2xf32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @weight_gradient_c4(%dout: tensor<?x16xbf16>, %y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected a result of shape [?, 2], got 'tensor<?x3xf32>'}}
  %0 = fusco.weight_gradient %dout, %y by %plan : tensor<?x16xbf16>,
    tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x3xf32>
  return
}

// -----

func.func @weight_gradient_c4_group(%dout: tensor<?x16xbf16>, %y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@nothing>) {
  // expected-error@+1 {{expected @nothing to name a 'fusco.group'}}
  %0 = fusco.weight_gradient %dout, %y by %plan : tensor<?x16xbf16>,
    tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@nothing> -> tensor<?x2xf32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c13(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'kept' ids beside rows in expert_slots with 'overflow = drop', got}}
  %0:4 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<2x4x16xbf16, #fusco.expert_slots<capacity = 4>>, tensor<2xi32>, tensor<3xi32> kept tensor<?x2xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c13_shape(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'kept' ids of shape [?, 2], got 'tensor<?x3xi32>'}}
  %0:4 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<2x4x16xbf16, #fusco.expert_slots<capacity = 4, overflow = drop>>, tensor<2xi32>, tensor<3xi32> kept tensor<?x3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c14(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'row_weights' of f32 with one column, in the layout of the rows, expert_major or expert_slots, got 'tensor<?x2xf32, #fusco.expert_major<align = 4>>'}}
  %0:4 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<2xi32>, tensor<3xi32> row_weights tensor<?x2xf32, #fusco.expert_major<align = 4>>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c14_layout(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'row_weights' of f32 with one column, in the layout of the rows, expert_major or expert_slots, got 'tensor<?x1xf32>'}}
  %0:4 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<2xi32>, tensor<3xi32> row_weights tensor<?x1xf32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c15(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'ready' of 11 entries, one more than a rank has tiles, got 'tensor<3xi32>'}}
  %0:4 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<2xi32>, tensor<3xi32> ready tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c15_layout(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'ready' beside rows in expert_major or expert_slots, got}}
  %0:4 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.rank_major>, tensor<1xi32>, tensor<2xi32> ready tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c16(%x: tensor<?x16xf32>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'by_columns' to be ascending numbers of results of rows of f32 or i32, in expert_major or expert_slots, beside others, got [2]}}
  %0:4 = fusco.dispatch %x, %s by %plan by_columns [2] : (tensor<?x16xf32>, tensor<?x4xf32>), !fusco.plan<@ep>
      -> (tensor<?x16xf32, #fusco.expert_major<align = 4>>, tensor<?x4xf32, #fusco.expert_major<align = 4>>), tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c16_order(%x: tensor<?x16xf32>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'by_columns' to be ascending numbers of results of rows of f32 or i32, in expert_major or expert_slots, beside others, got [1, 0]}}
  %0:4 = fusco.dispatch %x, %s by %plan by_columns [1, 0] : (tensor<?x16xf32>, tensor<?x4xf32>), !fusco.plan<@ep>
      -> (tensor<?x16xf32, #fusco.expert_major<align = 4>>, tensor<?x4xf32, #fusco.expert_major<align = 4>>), tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c16_all(%x: tensor<?x16xf32>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'by_columns' to be ascending numbers of results of rows of f32 or i32, in expert_major or expert_slots, beside others, got [0, 1]}}
  %0:4 = fusco.dispatch %x, %s by %plan by_columns [0, 1] : (tensor<?x16xf32>, tensor<?x4xf32>), !fusco.plan<@ep>
      -> (tensor<?x16xf32, #fusco.expert_major<align = 4>>, tensor<?x4xf32, #fusco.expert_major<align = 4>>), tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c16_element(%x: tensor<?x16xbf16>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'by_columns' to be ascending numbers of results of rows of f32 or i32, in expert_major or expert_slots, beside others, got 'tensor<?x16xbf16, #fusco.expert_major<align = 4>>'}}
  %0:4 = fusco.dispatch %x, %s by %plan by_columns [0] : (tensor<?x16xbf16>, tensor<?x4xf32>), !fusco.plan<@ep>
      -> (tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<?x4xf32, #fusco.expert_major<align = 4>>), tensor<2xi32>, tensor<3xi32>
  return
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
func.func @dispatch_c16_layout(%x: tensor<?x16xbf16>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // expected-error@+1 {{expected 'by_columns' to be ascending numbers of results of rows of f32 or i32, in expert_major or expert_slots, beside others, got 'tensor<?x4xf32, #fusco.rank_major>'}}
  %0:4 = fusco.dispatch %x, %s by %plan by_columns [1] : (tensor<?x16xbf16>, tensor<?x4xf32>), !fusco.plan<@ep>
      -> (tensor<?x16xbf16, #fusco.rank_major>, tensor<?x4xf32, #fusco.rank_major>), tensor<1xi32>, tensor<2xi32>
  return
}
