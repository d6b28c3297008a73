// Who forwards. Ranks tell each other their units for each node with the counts.
// DEFINE: %{lower} = fusco-opt --fusco-lower-to-pipe="chunk-tokens=3" --canonicalize --cse
// RUN: %{lower} %s | FileCheck %s
// RUN: sed 's/forwarders = balanced/forwarders = groups/' %s | %{lower} | FileCheck %s --check-prefix=GROUPS
// By rail nothing of it is there.
// RUN: sed 's/, forwarders = balanced//' %s | %{lower} \
// RUN:   | FileCheck %s --check-prefix=RAIL --implicit-check-not=units --implicit-check-not=gather --implicit-check-not=list
// RAIL: pipe.buffer @dispatch_headers : memref<2x4x42xi32>
// RUN: %{lower} %s | fusco-opt --pipe-verify-progress | FileCheck %s --check-prefix=PROOF
// PROOF: pipe.progress = [{channels = [@counts_exchanged, @row_lists, @rows_out, @rows_done], program = "dispatch"
// PROOF-SAME: {channels = [@outputs_ready, @ask_lists, @asks, @sums, @places, @outputs_taken], program = "combine"

fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#out = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 37, forwarders = balanced>
#spread = #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>
#collect = #fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 32>
#back = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 73, forwarders = balanced>

// A chunk is whole rounds of the ranks of a node: 4 tokens rather than 3. A list
// has at most half of a chunk's units for the one other node: a count, 2 fanouts,
// three tables of 2 * 2, each on a line of its own, and 2 entries of 8 bytes.
// CHECK:     {choice = "4 tokens a chunk, 6 chunks a ring",
// CHECK:     pipe.buffer @dispatch_headers : memref<2x4x44xi32> symmetric
// CHECK:     pipe.buffer @node_units : memref<2xi32> symmetric
// CHECK:     pipe.buffer @dealt_from : memref<8x1xi32> plan
// CHECK:     pipe.channel @row_lists phase rows link scale_up lanes 2 depth 6 freed_by credit
// CHECK:     pipe.buffer @row_lists_taken : memref<2x6x384xi8> symmetric
// CHECK:     pipe.channel @ask_lists phase combine link scale_up lanes 2 depth 6 freed_by answer @places
// CHECK:     pipe.channel @places phase combine link scale_up lanes 2 depth 6 freed_by question
// CHECK:     pipe.buffer @places_taken : memref<2x6x2xi32> symmetric
// GROUPS:    pipe.buffer @groups : memref<4xi32> plan
// GROUPS:    pipe.buffer @partners : memref<2xi32> plan
// GROUPS-NOT: @row_lists

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME:  (%[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}
// GROUPS-LABEL: pipe.program @dispatch
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>)
    -> (!rows, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>) {
  // Ranks of the own node read the tokens.
  // CHECK:      pipe.window %[[X]]
  // CHECK:      pipe.put @dispatch_headers[{{.*}} bytes 176
  // CHECK:      pipe.assign
  // All ranks of a node take part in as many chunks as any of them has.
  // CHECK:      pipe.pipeline
  // CHECK:      pipe.stage "send" lag 0
  // CHECK:        pipe.claim @row_lists
  // CHECK-NOT:    pipe.store_row
  // CHECK:        pipe.peer %{{.*}} @row_lists_taken
  // CHECK:        pipe.signal @row_lists
  // CHECK:      pipe.stage "gather" lag 1
  // CHECK:        pipe.claim @rows_out
  // CHECK:        pipe.receive @row_lists
  // CHECK:        %[[TOKENS:.*]] = pipe.rows_at %{{.*}} : memref<32x16xbf16>
  // CHECK:        pipe.store_row %[[TOKENS]][
  // CHECK:        pipe.release @row_lists
  // CHECK:        pipe.put @rows_sent
  // CHECK:      pipe.stage "forward" lag 2

  // Rows go to the group's member there.
  // GROUPS:     pipe.stage "send" lag 0
  // GROUPS:       %[[PARTNERS:.*]] = pipe.local @partners
  // GROUPS:       %[[ENTRY:.*]] = memref.load %[[PARTNERS]]
  // GROUPS:       %[[PARTNER:.*]] = arith.index_cast %[[ENTRY]]
  // GROUPS:       pipe.claim @rows_out[%{{.*}}] from %[[PARTNER]]
  // GROUPS:     pipe.stage "forward" lag 1
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %rows, %counts, %offsets = fusco.dispatch %x by %plan hops [#out, #spread]
    : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<3xi32>, tensor<4xi32>
  return %rows, %counts, %offsets, %plan : !rows, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>
}

// CHECK-LABEL: pipe.program @combine
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // CHECK:      pipe.stage "ask" lag 0
  // CHECK:        pipe.claim @ask_lists
  // CHECK:      pipe.stage "gather" lag 1
  // CHECK:        pipe.receive @ask_lists
  // CHECK:        pipe.put @asks_sent
  // CHECK:      pipe.stage "sum" lag 2
  // Sums stay where they came, and each rank learns where its own are.
  // CHECK:      pipe.stage "settle" lag 3
  // CHECK:        pipe.receive @sums
  // CHECK:        pipe.held @ask_lists
  // CHECK:        pipe.peer %{{.*}} @places_taken
  // CHECK:        pipe.signal @places
  // CHECK:      pipe.stage "finish" lag 4
  // CHECK:        pipe.receive @places
  // CHECK:        pipe.peer %{{.*}} @sums_taken
  // CHECK:        pipe.merge_row
  // CHECK:        pipe.release @places
  %out = fusco.combine %y by %plan weighted hops [#collect, #back] : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}
