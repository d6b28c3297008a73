// RUN: fusco-opt %s --fusco-plan-dedup -split-input-file | FileCheck %s
// RUN: fusco-opt %s --fusco-plan-pipeline="forwarders=rail" -split-input-file | FileCheck %s
// RUN: fusco-opt %s --fusco-plan-dedup="unique=assignment" -split-input-file | FileCheck %s --check-prefix=ASSIGNMENT
// RUN: fusco-opt %s --fusco-plan-dedup="unique=rank" -split-input-file | FileCheck %s --check-prefix=RANK
// RUN: fusco-opt %s --fusco-plan-pipeline="unique=node forwarders=rail" -split-input-file | FileCheck %s --check-prefix=NODE
// RUN: fusco-opt %s --fusco-plan-dedup="remarks=true" --mlir-print-op-on-diagnostic=false -split-input-file 2>&1 >/dev/null \
// RUN:   | FileCheck %s --check-prefix=REMARK
// RUN: not fusco-opt %s --fusco-plan-dedup="unique=token" -split-input-file 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: Cannot find option named 'token'

// Links slower than memory, one node: a row goes to a rank once. Of 8 experts
// on 8 ranks, 5.29 ranks are wanted, 1 in 8 being the token's own: 4.63 rows of
// 14336 bytes, 147.6 ns at 450 GB/s. Partial sums in float32 would be wider than
// what they save.
// CHECK: module attributes {fusco.decisions = [
// CHECK-SAME: {choice = "scale_up rank", reason = "modelled ns per token: 147.6 on scale_up, {{[0-9.]+}} in all; not scale_up assignment: 223.0 on scale_up, {{[0-9.]+}} in all", subject = "dispatch.hops"}
// CHECK-SAME: {choice = "scale_up assignment", reason = "modelled ns per token: 223.0 on scale_up, {{[0-9.]+}} in all; not scale_up rank: 295.2 on scale_up, {{[0-9.]+}} in all", subject = "combine.hops"}
// CHECK-SAME: ]}
// RANK: {choice = "scale_up rank", reason = "unique = rank was asked for; modelled ns per token: 295.2 on scale_up, {{[0-9.]+}} in all; not scale_up assignment: 223.0 on scale_up
// REMARK: remark: scale_up rank: modelled ns per token: 147.6 on scale_up, {{[0-9.]+}} in all
// REMARK: note: not scale_up assignment: 223.0 on scale_up, {{[0-9.]+}} in all
fusco.group @nvlink {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 8, memory_gbps = 3350, scale_up_gbps = 450>,
  placement = <block>}
// CHECK-LABEL: func.func @nvlink_dispatch
func.func @nvlink_dispatch(%x: tensor<?x7168xbf16>, %plan: !fusco.plan<@nvlink>) {
  // CHECK: hops [#fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 66416>] :
  %0:3 = fusco.dispatch %x by %plan : tensor<?x7168xbf16>, !fusco.plan<@nvlink>
    -> tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, tensor<32xi32>, tensor<33xi32>
  return
}
// CHECK-LABEL: func.func @nvlink_combine
// ASSIGNMENT-LABEL: func.func @nvlink_combine
// RANK-LABEL: func.func @nvlink_combine
// NODE-LABEL: func.func @nvlink_combine
func.func @nvlink_combine(%y: tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@nvlink>) {
  // CHECK: weighted hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 100352>] :
  // ASSIGNMENT: hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 100352>] :
  // RANK: hops [#fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32, bytes_per_token = 132832>] :
  // NODE: hops [#fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32, bytes_per_token = 132832>] :
  %0 = fusco.combine %y by %plan weighted
    : tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@nvlink> -> tensor<?x7168xbf16>
  return
}

// -----

// On 4 ranks 3.61 partial sums in float32 are narrower than 8 rows in bf16.
fusco.group @four {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4, memory_gbps = 3350, scale_up_gbps = 450>,
  placement = <block>}
// CHECK-LABEL: func.func @four_ranks
func.func @four_ranks(%y: tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@four>) {
  // CHECK: hops [#fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32,
  %0 = fusco.combine %y by %plan
    : tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@four> -> tensor<?x7168xbf16>
  return
}
// In float32 they are so on 8 ranks too.
fusco.group @eight {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 8, memory_gbps = 3350, scale_up_gbps = 450>,
  placement = <block>}
// CHECK-LABEL: func.func @eight_ranks
func.func @eight_ranks(%y: tensor<?x7168xf32, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@eight>) {
  // CHECK: hops [#fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32, bytes_per_token = 132832>] :
  %0 = fusco.combine %y by %plan
    : tensor<?x7168xf32, #fusco.expert_major<align = 1>>, !fusco.plan<@eight> -> tensor<?x7168xf32>
  return
}

// -----

// A network that is slower still: a row goes to a node once. The network is the
// slowest whatever the second hop is, and a row per rank costs less in all.
// CHECK: {choice = "scale_out node, scale_up rank", reason = "modelled ns per token: 1328.3 on scale_out, {{[0-9.]+}} in all; not scale_out assignment, scale_up assignment: 2007.0 on scale_out,
// CHECK-SAME: not scale_out rank, scale_up assignment: 1925.7 on
// CHECK-SAME: not scale_out rank, scale_up rank: 1925.7 on
// CHECK-SAME: not scale_out node, scale_up assignment: 1328.3 on
// CHECK-SAME: {choice = "scale_up assignment, scale_out node", {{.*}} subject = "combine.hops"}
fusco.group @ep {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 8, ranks_per_node = 8, memory_gbps = 3350, scale_up_gbps = 450,
              scale_out_gbps = 50>,
  placement = <block>}
// CHECK-LABEL: func.func @nodes_dispatch
// ASSIGNMENT-LABEL: func.func @nodes_dispatch
// RANK-LABEL: func.func @nodes_dispatch
// NODE-LABEL: func.func @nodes_dispatch
func.func @nodes_dispatch(%x: tensor<?x7168xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 66416>, #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 96285>] :
  // ASSIGNMENT: hops [#fusco.hop<scope = scale_out, unique = assignment, {{[^>]*}}>, #fusco.hop<scope = scale_up, unique = assignment, {{[^>]*}}>] :
  // RANK: hops [#fusco.hop<scope = scale_out, unique = rank, {{[^>]*}}>, #fusco.hop<scope = scale_up, unique = rank, {{[^>]*}}>] :
  // NODE: hops [#fusco.hop<scope = scale_out, unique = node, {{[^>]*}}>, #fusco.hop<scope = scale_up, unique = rank, {{[^>]*}}>] :
  %0:3 = fusco.dispatch %x by %plan : tensor<?x7168xbf16>, !fusco.plan<@ep>
    -> tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, tensor<4xi32>, tensor<5xi32>
  return
}
// CHECK-LABEL: func.func @nodes_combine
// ASSIGNMENT-LABEL: func.func @nodes_combine
// RANK-LABEL: func.func @nodes_combine
func.func @nodes_combine(%y: tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // CHECK: hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 100352>, #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 132832>] :
  // The sum of a node is one row, whatever is asked for.
  // ASSIGNMENT: hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, {{[^>]*}}>, #fusco.hop<scope = scale_out, unique = node, {{[^>]*}}>] :
  // RANK: hops [#fusco.hop<scope = scale_up, unique = rank, mode = push, {{[^>]*}}>, #fusco.hop<scope = scale_out, unique = node, {{[^>]*}}>] :
  %0 = fusco.combine %y by %plan weighted
    : tensor<?x7168xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x7168xbf16>
  return
}

// -----

// Links as fast as memory, which a copy of a row would only load more: per
// assignment, for 1 row read and 6 written of 4096 bytes. What is decided twice
// is recorded once.
// CHECK: module attributes {fusco.decisions = [
// CHECK-SAME: {choice = "scale_up assignment", reason = "modelled bytes per token, links being as fast as memory: 28672.0 on memory, {{[0-9.]+}} in all; not scale_up rank: {{[0-9.]+}} on memory, {{[0-9.]+}} in all", subject = "dispatch.hops"}
// CHECK-SAME: {choice = "scale_up assignment", {{[^}]*}} subject = "combine.hops"}]}
fusco.group @ep {experts = 64, topk = 6, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 8>, placement = <block>}
// CHECK-LABEL: func.func @one_machine
func.func @one_machine(%x: tensor<?x2048xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.dispatch {{.*}} hops [#fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 21504>] :
  %0:3 = fusco.dispatch %x by %plan : tensor<?x2048xbf16>, !fusco.plan<@ep>
    -> tensor<?x2048xbf16, #fusco.expert_major<align = 1>>, tensor<8xi32>, tensor<9xi32>
  // CHECK: fusco.dispatch {{.*}} hops [#fusco.hop<scope = scale_up, unique = assignment,
  %1:3 = fusco.dispatch %x by %plan : tensor<?x2048xbf16>, !fusco.plan<@ep>
    -> tensor<?x2048xbf16, #fusco.expert_major<align = 16>>, tensor<8xi32>, tensor<9xi32>
  // CHECK: fusco.combine {{.*}} hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 21504>] :
  %2 = fusco.combine %0#0 by %plan weighted
    : tensor<?x2048xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x2048xbf16>
  return
}

// -----

// Nodes of one rank: it is its own forwarder, and nothing is on scale-up links.
// Where no row is saved, the simpler hops are taken.
// CHECK: {choice = "scale_out assignment, scale_up assignment",
fusco.group @ep {experts = 8, topk = 1, max_tokens = 4,
  topology = <nodes = 4, ranks_per_node = 1, memory_gbps = 100, scale_out_gbps = 10>,
  placement = <block>}
// CHECK-LABEL: func.func @one_rank_per_node
func.func @one_rank_per_node(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: hops [#fusco.hop<scope = scale_out, unique = assignment, mode = push, wire = bf16, bytes_per_token = 24>, #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 0>] :
  %0:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<2x5x16xbf16, #fusco.expert_slots<capacity = 5>>, tensor<2xi32>, tensor<3xi32>
  return
}

// -----

// Hops that are there stay, rank-major rows and the unfused form have none, and
// nothing has been decided.
// CHECK: module {
// ASSIGNMENT: module {
fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
// CHECK-LABEL: func.func @left_alone
func.func @left_alone(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.dispatch {{.*}} hops [] :
  %0:3 = fusco.dispatch %x by %plan hops [] : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 1>>, tensor<2xi32>, tensor<3xi32>
  %2 = fusco.permute %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.device_major<destination>>
  return
}

// -----

// Rank-major, of 8 rows one for each of 5.29 ranks travels, once per rank whatever
// the hop is unique per.
fusco.group @ep {experts = 256, topk = 8, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 8, memory_gbps = 3350, scale_up_gbps = 450>,
  placement = <block>}
// CHECK-LABEL: func.func @rank_major
// RANK-LABEL: func.func @rank_major
func.func @rank_major(%x: tensor<?x7168xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: hops [#fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 66416>] :
  // RANK: hops [#fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 66416>] :
  %0:3 = fusco.dispatch %x by %plan : tensor<?x7168xbf16>, !fusco.plan<@ep>
    -> tensor<?x7168xbf16, #fusco.rank_major>, tensor<1xi32>, tensor<2xi32>
  return
}

// -----

// Partial sums of bf16 take half the bytes of float32 on each hop that they travel,
// and scales travel with float8 rows.
fusco.group @ep {experts = 4, topk = 2, max_tokens = 4,
  topology = <nodes = 2, ranks_per_node = 1>, placement = <block>}
// CHECK-LABEL: func.func @partials
// RANK-LABEL: func.func @partials
func.func @partials(%y: tensor<?x16xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // CHECK: #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 53>] :
  %0 = fusco.combine %y by %plan
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  // CHECK: #fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 27>] :
  // RANK: unique = node
  // RANK: #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16,
  %1 = fusco.combine %y by %plan partials bf16
    : tensor<?x16xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}

// -----

fusco.group @ep {experts = 4, topk = 2, max_tokens = 4,
  topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
// CHECK-LABEL: func.func @scaled
func.func @scaled(%y: tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>,
                  %s: tensor<?x4xf32, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>) {
  // Of two rows of 32 bytes, a fourth is the rank's own.
  // CHECK: hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = f8E4M3FN, bytes_per_token = 48>] :
  %0 = fusco.combine %y scaled %s block 4 by %plan
    : tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>> scaled tensor<?x4xf32, #fusco.expert_major<align = 1>>,
      !fusco.plan<@ep> -> tensor<?x16xbf16>
  return
}
