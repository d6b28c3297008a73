// RUN: fusco-opt %s --fusco-plan-balance -split-input-file | FileCheck %s
// RUN: fusco-opt %s --fusco-plan-balance="policy=rail" -split-input-file | FileCheck %s --check-prefix=RAIL --implicit-check-not=forwarders=
// RUN: fusco-opt %s --fusco-plan-balance="policy=groups" -split-input-file | FileCheck %s --check-prefix=GROUPS
// RUN: fusco-opt %s --fusco-plan-balance="policy=balanced" -split-input-file | FileCheck %s --check-prefix=BALANCED
// RUN: not fusco-opt %s --fusco-plan-balance="policy=even" -split-input-file 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: Cannot find option named 'even'

// Links between nodes are the slowest: 1000 bytes at 50 GB/s, and 1.12 times that
// where the busiest forwarder decides. What evens them out costs 7/8 of these bytes
// on scale-up links, which have room for them.
// CHECK: {choice = "balanced", reason = "modelled ns per token on the slowest link: rail 22.4, balanced 20.0", subject = "dispatch.forwarders"}
// RAIL: {choice = "rail", reason = "policy = rail was asked for", subject = "dispatch.forwarders"}
fusco.group @ep {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 8, ranks_per_node = 8, memory_gbps = 3350, scale_up_gbps = 450, scale_out_gbps = 50>,
  placement = <block>}
// CHECK-LABEL: func.func @dispatch
// RAIL-LABEL: func.func @dispatch
// GROUPS-LABEL: func.func @dispatch
// BALANCED-LABEL: func.func @dispatch
func.func @dispatch(%x: tensor<?x7168xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 1000, forwarders = balanced>, #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 1000>] :
  // RAIL: bytes_per_token = 1000>, #fusco.hop<scope = scale_up,
  // GROUPS: bytes_per_token = 1000, forwarders = groups>, #fusco.hop<scope = scale_up,
  %0:3 = fusco.dispatch %x by %plan
    hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 1000>,
          #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 1000>]
    : tensor<?x7168xbf16>, !fusco.plan<@ep>
    -> tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, tensor<4xi32>, tensor<5xi32>
  return
}

// A combine's hops stand the other way round, and who forwards is chosen anew.
// CHECK-LABEL: func.func @combine
func.func @combine(%y: tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // CHECK: hops [#fusco.hop<scope = scale_up, {{.*}}>, #fusco.hop<scope = scale_out, {{.*}}, forwarders = balanced>] :
  %0 = fusco.combine %y by %plan weighted
    hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 1000>,
          #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 1000, forwarders = groups>]
    : tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x7168xbf16>
  return
}

// Where scale-up links are the slower ones, more on them costs more than it saves.
// CHECK-LABEL: func.func @full_scale_up
func.func @full_scale_up(%x: tensor<?x7168xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: bytes_per_token = 1000>, #fusco.hop<scope = scale_up,
  %0:3 = fusco.dispatch %x by %plan
    hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 1000>,
          #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 9500>]
    : tensor<?x7168xbf16>, !fusco.plan<@ep>
    -> tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, tensor<4xi32>, tensor<5xi32>
  return
}

// Gradients of weights come back to who sent the row.
// BALANCED-LABEL: func.func @gradient
// BALANCED-NOT: forwarders
// GROUPS-LABEL: func.func @gradient
// GROUPS: forwarders = groups
func.func @gradient(%dout: tensor<?x7168xbf16>, %y: tensor<?x7168xbf16, #fusco.expert_major<align = 1>>,
                    %plan: !fusco.plan<@ep>) {
  %0:3 = fusco.dispatch %dout by %plan
    hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 1000>,
          #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 1000>]
    : tensor<?x7168xbf16>, !fusco.plan<@ep>
    -> tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, tensor<4xi32>, tensor<5xi32>
  %1 = fusco.weight_gradient %dout, %y by %plan : tensor<?x7168xbf16>,
    tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x8xf32>
  return
}

// -----

// Links without a speed are as fast as memory, and a node of one rank has no choice.
// CHECK: {choice = "rail", reason = "links are as fast as memory, so that evening them out would cost what it saves", subject = "dispatch.forwarders"}
// BALANCED: {choice = "balanced", reason = "policy = balanced was asked for", subject = "dispatch.forwarders"}
fusco.group @ep {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 8, ranks_per_node = 8>, placement = <block>}
func.func @no_speeds(%x: tensor<?x7168xbf16>, %plan: !fusco.plan<@ep>) {
  %0:3 = fusco.dispatch %x by %plan
    hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 1000>,
          #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 1000>]
    : tensor<?x7168xbf16>, !fusco.plan<@ep>
    -> tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, tensor<4xi32>, tensor<5xi32>
  return
}

// -----

// BALANCED: {choice = "rail", reason = "a node has one rank", subject = "dispatch.forwarders"}
fusco.group @ep {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 8, ranks_per_node = 1, scale_out_gbps = 50>, placement = <block>}
func.func @one_rank(%x: tensor<?x7168xbf16>, %plan: !fusco.plan<@ep>) {
  %0:3 = fusco.dispatch %x by %plan
    hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 1000>,
          #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 1000>]
    : tensor<?x7168xbf16>, !fusco.plan<@ep>
    -> tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, tensor<32xi32>, tensor<33xi32>
  return
}
