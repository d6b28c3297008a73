// Once per rank: a row is written once to each rank that wants it, which then copies
// it to its other slots; a rank sums its rows of a token before they travel.
// RUN: fusco-opt %s --fusco-lower-to-pipe="chunk-tokens=4" --canonicalize --cse -split-input-file | FileCheck %s

fusco.group @ep {experts = 10, topk = 3, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#spread = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 32>
#gather = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32, bytes_per_token = 64>

// A lane for each rank whose tokens it is about. A list holds at most topk - 1
// copies of each of 4 tokens, and their number.
// CHECK:      pipe.channel @copies phase rows link scale_up lanes 4 depth 4 freed_by credit
// CHECK-NEXT: pipe.buffer @copy_lists : memref<4x4x17xi32> symmetric
// CHECK-NEXT: pipe.channel @requests phase combine link scale_up lanes 4 depth 4 freed_by answer @partials
// CHECK-NEXT: pipe.channel @partials phase combine link scale_up lanes 4 depth 4 freed_by question
// CHECK-NEXT: pipe.buffer @requests_taken : memref<4x4x320xi8> symmetric
// CHECK-NEXT: pipe.buffer @partials_taken : memref<4x4x256xi8> symmetric
// CHECK-NEXT: pipe.buffer @rank_summands : memref<4xi64> symmetric

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: %[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "rows", pipe.output}
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x3xi32>) -> (!rows, !fusco.plan<@ep>) {
  // CHECK:      pipe.assign {{.*}} scale_up rank
  // CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses
  // CHECK:      pipe.pipeline

  // To a rank's first slot goes the row, and to its list from where to where else.
  // CHECK-NEXT: pipe.stage "send" lag 0 {
  // CHECK:        pipe.claim @copies
  // CHECK:        %[[SECOND:.*]] = arith.addi %[[FIRST:.*]], %c1
  // CHECK:        pipe.copy_row %[[X]][%{{.*}}] to %[[ADDRESSES]] at({{[^)]*}})[%{{.*}}, %[[FIRST]] to %[[SECOND]]]
  // CHECK-NEXT:   scf.for %{{.*}} = %[[SECOND]] to
  // CHECK:          %[[LIST:.*]] = pipe.peer %{{.*}} @copy_lists
  // CHECK:          memref.store %{{.*}}, %[[LIST]]
  // CHECK:          memref.store %{{.*}}, %[[LIST]]
  // Rows and lists are there before the signal that says so.
  // CHECK:        pipe.fence
  // CHECK-NEXT:   scf.for
  // CHECK:          %[[LIST:.*]] = pipe.peer %{{.*}} @copy_lists
  // CHECK:          memref.store %{{.*}}, %[[LIST]]
  // CHECK:          pipe.signal @copies

  // CHECK:      pipe.stage "duplicate" lag 1 {
  // CHECK:        %[[SLOT:.*]] = pipe.receive @copies[%[[SOURCE:.*]]] from
  // CHECK:        %[[LIST:.*]] = pipe.local @copy_lists
  // CHECK:        memref.load %[[LIST]][%[[SOURCE]], %[[SLOT]], %c0]
  // CHECK:        pipe.store_row %[[ROWS]][%{{.*}}] to %[[ROWS]][%{{.*}}] :
  // CHECK:        pipe.release @copies[%[[SOURCE]]]
  // CHECK-NOT:  pipe.stage
  // CHECK:      pipe.return
  %plan = fusco.plan %ids in @ep : tensor<?x3xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %plan hops [#spread]
    : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<3xi32>, tensor<4xi32>
  return %r#0, %plan : !rows, !fusco.plan<@ep>
}

// CHECK-LABEL: pipe.program @combine
// CHECK-SAME: %[[OUT:[^:]*]]: memref<?x16xbf16> {pipe.name = "out", pipe.output})
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses
  // CHECK:      pipe.pipeline
  // CHECK-NEXT: pipe.stage "ask" lag 0 {
  // CHECK:        pipe.claim @requests
  // CHECK:        pipe.peer %{{.*}} @requests_taken
  // CHECK:        pipe.signal @requests

  // A rank's sum of its rows goes in float32 to who asked.
  // CHECK:      pipe.stage "partial" lag 1 {
  // CHECK:        pipe.receive @requests[%[[SOURCE:.*]]] from %[[ASKER:.*]]
  // CHECK:        pipe.claim @partials[%[[SOURCE]]] from %[[ASKER]]
  // CHECK:        %[[RING:.*]] = pipe.peer %[[ASKER]] @partials_taken
  // CHECK:        %[[PARTIALS:.*]] = pipe.view %[[RING]][{{.*}} to memref<4x16xf32>
  // CHECK:        pipe.reduce_row %[[ADDRESSES]] at({{.*}} as memref<?x16xbf16> into %[[PARTIALS]]
  // CHECK:        pipe.fence
  // CHECK-NEXT:   pipe.signal @partials[%[[SOURCE]]] to %[[ASKER]]
  // CHECK-NEXT:   pipe.release @requests[%[[SOURCE]]]

  // CHECK:      pipe.stage "finish" lag 2 {
  // CHECK:        pipe.receive @partials
  // CHECK-NOT:    pipe.reduce_row
  // CHECK:        pipe.merge_row %{{.*}} into %[[OUT]]
  // CHECK:        pipe.release @partials
  // CHECK-NOT:  pipe.stage
  // CHECK:      pipe.return
  %z = fusco.combine %y by %plan hops [#gather] : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %z : tensor<?x16xbf16>
}

// -----

// Two nodes: forwarders do the same for what they were sent or asked.
fusco.group @ep {experts = 10, topk = 3, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 3>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#out = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 32>
#spread = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 32>
#gather = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32, bytes_per_token = 64>
#back = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 64>

// CHECK-LABEL: pipe.program @dispatch
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x3xi32>) -> (!rows, !fusco.plan<@ep>) {
  // CHECK:      pipe.stage "send" lag 0 {
  // CHECK:        pipe.claim @rows_out
  // CHECK:        pipe.claim @copies
  // CHECK:        pipe.signal @copies
  // CHECK:        pipe.put @rows_sent

  // Lists go to this node's ranks: a forwarder's node times 3, and the local index.
  // CHECK:      pipe.stage "forward" lag 1 {
  // CHECK:        pipe.receive @rows_out
  // CHECK:        pipe.claim @copies
  // CHECK:        pipe.copy_row
  // CHECK:        pipe.peer %{{.*}} @copy_lists
  // CHECK:        pipe.fence
  // CHECK:        scf.for %[[LOCAL:.*]] = %c0 to %c3 step %c1
  // CHECK:          %[[FIRST:.*]] = arith.muli %{{.*}}, %c3
  // CHECK-NEXT:     %[[PEER:.*]] = arith.addi %[[FIRST]], %[[LOCAL]]
  // CHECK:          pipe.peer %[[PEER]] @copy_lists
  // CHECK:          pipe.signal @copies[%{{.*}}] to %[[PEER]]
  // CHECK:        pipe.release @rows_out

  // Of the tokens of every rank of the group.
  // CHECK:      pipe.stage "duplicate" lag 2 {
  // CHECK:        scf.for %[[SOURCE:.*]] = %c0 to %c6 step %c1
  // CHECK:          pipe.receive @copies[%[[SOURCE]]]
  // CHECK-NOT:  pipe.stage
  // CHECK:      pipe.return
  %plan = fusco.plan %ids in @ep : tensor<?x3xi32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %plan hops [#out, #spread]
    : tensor<?x16xbf16>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %plan : !rows, !fusco.plan<@ep>
}

// CHECK-LABEL: pipe.program @combine
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // CHECK:      pipe.stage "ask" lag 0 {
  // CHECK:        pipe.signal @requests
  // CHECK:        pipe.put @asks_sent
  // CHECK:      pipe.stage "relay" lag 1 {
  // CHECK:        pipe.receive @asks
  // CHECK:        pipe.signal @requests
  // CHECK-NOT:    pipe.release
  // CHECK:      pipe.stage "partial" lag 2 {
  // CHECK:        pipe.signal @partials
  // CHECK:        pipe.release @requests
  // The question that was relayed is held until it is answered.
  // CHECK:      pipe.stage "sum" lag 3 {
  // CHECK:        pipe.held @asks
  // CHECK:        pipe.receive @partials
  // CHECK:        pipe.claim @sums
  // CHECK:        pipe.merge_row %{{.*}} into memref<4x16xf32>
  // CHECK:        pipe.put @sums_sent
  // CHECK:        pipe.release @partials
  // CHECK:        pipe.release @asks
  // CHECK:      pipe.stage "finish" lag 4 {
  // CHECK:        pipe.receive @sums
  // CHECK:        pipe.receive @partials
  // CHECK:        pipe.merge_row %{{.*}} into memref<1x16xf32>
  // CHECK:        pipe.merge_row %{{.*}} into memref<?x16xbf16>
  // CHECK:        pipe.release @partials
  // CHECK:        pipe.release @sums
  // CHECK:      pipe.return
  %z = fusco.combine %y by %plan hops [#gather, #back] : !rows, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %z : tensor<?x16xbf16>
}

// -----

// Partial sums of bf16: rings are half as wide, and what crosses nodes too. Scales
// are read beside the rows, and summands added where the sum is whole.
fusco.group @ep {experts = 10, topk = 3, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 3>, placement = <block>}
!rows = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>
!scales = tensor<?x4xf32, #fusco.expert_major<align = 8>>
#gather = #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = bf16, bytes_per_token = 64>
#back = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 64>

// CHECK: pipe.buffer @sums_sent : memref<1x6x128xi8> symmetric
// CHECK: pipe.buffer @own_sum : memref<1x32xi8> symmetric
// CHECK: pipe.buffer @partials_taken : memref<6x6x128xi8> symmetric
// CHECK: pipe.buffer @addresses_1 : memref<6xi64> plan

// CHECK-LABEL: pipe.program @combine_scaled
// CHECK-SAME: memref<?x16xf8E4M3FN> {pipe.expert_rows, pipe.name = "y"}
// CHECK-SAME: memref<?x4xf32> {pipe.expert_rows, pipe.name = "scales", pipe.scaled_columns = 4 : i64}
// CHECK-SAME: %[[BIAS:[^:]*]]: memref<1x16xbf16> {pipe.name = "bias"}
// CHECK-SAME: %[[RESIDUAL:[^:]*]]: memref<?x16xf32> {pipe.name = "residual"}
// CHECK-SAME: %[[OUT:[^:]*]]: memref<?x16xbf16>
func.func @combine_scaled(%y: !rows, %s: !scales, %bias: tensor<1x16xbf16>, %residual: tensor<?x16xf32>,
                          %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // CHECK: %[[SCALES:.*]] = pipe.local @addresses_1
  // CHECK: pipe.stage "partial"
  // CHECK: pipe.reduce_row %{{.*}} as memref<?x16xf8E4M3FN> scaled %[[SCALES]] as memref<?x4xf32> block 4 into %{{.*}} ranks 6 per_node 3 partials bf16 : {{.*}} into memref<4x16xbf16>
  // CHECK: pipe.stage "sum"
  // CHECK: pipe.merge_row %{{.*}} partials bf16 node : memref<3xi64> into memref<4x16xbf16>
  // CHECK: pipe.put @sums_sent{{.*}} 32
  // CHECK: pipe.stage "finish"
  // CHECK: pipe.merge_row %{{.*}} partials bf16 node : memref<3xi64> into memref<1x16xbf16>
  // CHECK: pipe.merge_row %{{.*}} into %[[OUT]][%{{.*}}] plus %[[BIAS]], %[[RESIDUAL]] partials bf16 : memref<2xi64>
  %z = fusco.combine %y scaled %s block 4 by %plan plus %bias, %residual partials bf16 hops [#gather, #back]
    : !rows scaled !scales, !fusco.plan<@ep>, tensor<1x16xbf16>, tensor<?x16xf32> -> tensor<?x16xbf16>
  return %z : tensor<?x16xbf16>
}
