// Several nodes: rows go through a forwarder on each other node, and sums come back
// from there. Only puts reach another node: with rows per assignment within a node,
// no other rank's heap is addressed at all.
// DEFINE: %{options} = chunk-tokens=4
// DEFINE: %{lower} = fusco-opt --fusco-lower-to-pipe="%{options}" --canonicalize --cse
// RUN: %{lower} %s | FileCheck %s --implicit-check-not=pipe.peer

// Once per assignment there are as many rows in a slot as assignments.
// RUN: sed '/^#out =/s/unique = node/unique = assignment/' %s | %{lower} \
// RUN:   | FileCheck %s --check-prefix=MANY --implicit-check-not=pipe.peer
// MANY: pipe.buffer @rows_sent : memref<2x{{[0-9]+}}x576xi8>
// MANY: pipe.buffer @asks_sent : memref<2x4x320xi8>
// MANY: pipe.assign {{.*}} scale_out assignment scale_up assignment
// MANY: pipe.view %{{.*}} at 320 : memref<2x4x576xi8> to memref<8x16xbf16>

// 32 tokens are 8 chunks of 4: with a slot for each, the start of a program frees
// them all.
// REDEFINE: %{options} = chunk-tokens=4 ring-chunks=8
// RUN: %{lower} %s | FileCheck %s --check-prefix=WHOLE
// WHOLE: pipe.channel @rows_out phase rows link scale_out lanes 2 depth 8 freed_by start chunks 8

// Stages further apart need longer rings: 2 * 2 chunks between the first stage of a
// combine and the last, and 2 more.
// REDEFINE: %{options} = chunk-tokens=4 stage-lag=2
// RUN: %{lower} %s | FileCheck %s --check-prefix=LAG
// LAG: pipe.channel @rows_out phase rows link scale_out lanes 2 depth 6 freed_by credit
// LAG: pipe.stage "send" lag 0
// LAG: pipe.stage "forward" lag 2
// LAG: pipe.stage "ask" lag 0
// LAG: pipe.stage "sum" lag 2
// LAG: pipe.stage "finish" lag 4

// Left alone, a chunk is as much as a cache holds, and no more than there is.
// REDEFINE: %{options} = chunk-tokens=0
// RUN: %{lower} %s | FileCheck %s --check-prefix=CHOSEN
// CHOSEN: {choice = "32 tokens a chunk, 4 chunks a ring", {{.*}} subject = "pipeline"}

// CHECK: {choice = "4 tokens a chunk, 4 chunks a ring", {{.*}} subject = "pipeline"}
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 3, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>
#out = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 37>
#spread = #fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>
#gather = #fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = bf16, bytes_per_token = 32>
#back = #fusco.hop<scope = scale_out, unique = node, mode = push, wire = f32, bytes_per_token = 73>

// A lane for each other node. A slot: a count, 4 fanouts, three tables of 4 * 2,
// each on lines of its own, and 4 rows of 32 bytes, as they are on the wire; sums
// are of float32.
// CHECK:      pipe.channel @rows_out phase rows link scale_out lanes 2 depth 4 freed_by credit
// CHECK-NEXT: pipe.buffer @rows_sent : memref<2x4x448xi8> symmetric
// CHECK-NEXT: pipe.buffer @rows_forwarded : memref<2x4x448xi8> symmetric
// CHECK-NEXT: pipe.channel @asks phase combine link scale_out lanes 2 depth 4 freed_by answer @sums
// CHECK-NEXT: pipe.channel @sums phase combine link scale_out lanes 2 depth 4 freed_by question
// CHECK-NEXT: pipe.buffer @asks_sent : memref<2x4x320xi8> symmetric
// CHECK-NEXT: pipe.buffer @asks_taken : memref<2x4x320xi8> symmetric
// CHECK-NEXT: pipe.buffer @sums_sent : memref<2x4x256xi8> symmetric
// CHECK-NEXT: pipe.buffer @sums_taken : memref<2x4x256xi8> symmetric
// CHECK-NEXT: pipe.buffer @own_sum : memref<1x64xi8> symmetric
// CHECK-NEXT: pipe.buffer @summands : memref<3xi64> symmetric
// No copies and no partial sums of ranks.
// CHECK-NOT:  pipe.channel

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xf32> {pipe.name = "x"}
func.func @dispatch(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>)
    -> (!rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
  // CHECK:      %[[SELF:.*]] = pipe.rank
  // CHECK:      pipe.assign {{.*}} ranks 6 per_node 2 scale_out node scale_up assignment
  // Addresses are those of the own node's ranks.
  // CHECK:      %[[NODE:.*]] = arith.divui %[[SELF]], %c2
  // CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses
  // CHECK-NEXT: pipe.for_each %c0 to %c2 {
  // CHECK-NEXT:   ^bb0(%[[LOCAL:.*]]: index):
  // CHECK:        %[[FIRST:.*]] = arith.muli %[[NODE]], %c2
  // CHECK:        %[[PEER:.*]] = arith.addi %[[FIRST]], %[[LOCAL]]
  // CHECK:        pipe.remote %[[PEER]],
  // As many chunks as any rank has.
  // CHECK:      %[[CHUNKS:.*]] = scf.for %{{.*}} = %c0 to %c6 step %c1 iter_args(%[[MOST:.*]] = %c0)
  // CHECK:        arith.maxsi %[[MOST]],
  // CHECK:      pipe.pipeline chunks %[[CHUNKS]]

  // The token's rows in this node go to their slots. To another node goes one row,
  // cast on the way into the ring, with what the forwarder needs to know.
  // CHECK-NEXT: pipe.stage "send" lag 0 {
  // CHECK-NEXT: ^bb0(%[[CHUNK:.*]]: index):
  // CHECK:        arith.cmpi slt, %[[CHUNK]],
  // CHECK-NEXT:   scf.if
  // CHECK:          scf.for %[[LANE:.*]] = %c0 to %c2 step %c1
  // CHECK:            pipe.claim @rows_out[%[[LANE]]] from
  // CHECK:          pipe.copy_row %[[X]][%[[TOKEN:.*]]] to %[[ADDRESSES]] at({{.*}} as memref<?x16xbf16> : memref<?x16xf32> to
  // CHECK-NEXT:     } else {
  // CHECK:            %[[RING:.*]] = pipe.local @rows_sent
  // CHECK:            %[[WIRE:.*]] = pipe.view %[[RING]][%{{.*}}] at 320 : memref<2x4x448xi8> to memref<4x16xbf16>
  // CHECK-NEXT:       pipe.store_row %[[X]][%[[TOKEN]]] to %[[WIRE]][%{{.*}}] : memref<?x16xf32> to memref<4x16xbf16>
  // One put of what is used of the slot, to the rank of the same local index.
  // CHECK:          scf.for %[[LANE:.*]] = %c0 to %c2 step %c1
  // CHECK:            %[[LOWER:.*]] = arith.cmpi slt, %[[LANE]], %[[NODE]]
  // CHECK:            %[[OTHER:.*]] = arith.select %[[LOWER]], %[[LANE]],
  // CHECK:            %[[FIRST:.*]] = arith.muli %[[OTHER]], %c2
  // CHECK:            %[[FORWARDER:.*]] = arith.addi %[[FIRST]],
  // CHECK:            pipe.put @rows_sent[%[[LANE]], %[[SLOT:.*]]] to %[[FORWARDER]] @rows_forwarded[%[[THERE:.*]], %[[SLOT]]] bytes 320 plus %{{.*}} times 32 signal @rows_out[%[[LANE]], %[[THERE]]]

  // CHECK:      pipe.stage "forward" lag 1 {
  // CHECK:        scf.for %[[LANE:.*]] = %c0 to %c2 step %c1
  // CHECK:          scf.if
  // CHECK-NEXT:       %[[SLOT:.*]] = pipe.receive @rows_out[%[[LANE]]] from %[[SOURCE:.*]]
  // CHECK:            %[[RING:.*]] = pipe.local @rows_forwarded
  // CHECK:            %[[WIRE:.*]] = pipe.view %[[RING]][%[[LANE]], %[[SLOT]]] at 320
  // CHECK:            pipe.copy_row %[[WIRE]][%[[UNIT:.*]]] to %[[ADDRESSES]] at({{.*}} as memref<?x16xbf16> : memref<4x16xbf16> to
  // CHECK:            pipe.release @rows_out[%[[LANE]]] to %[[SOURCE]][
  // CHECK-NOT:  pipe.stage

  // The last rows from elsewhere come from this node's forwarders, so that only its
  // ranks meet.
  // CHECK:      pipe.zero_rows
  // CHECK:      pipe.fence
  // CHECK:      scf.for %{{.*}} = %c0 to %c2 step %c1
  // CHECK:        pipe.signal @rows_done
  // CHECK:        pipe.receive @rows_done
  // CHECK:      pipe.return
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %plan hops [#out, #spread]
    : tensor<?x16xf32>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %r#1, %r#2, %plan : !rows, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
}

// CHECK-LABEL: pipe.program @combine
// CHECK-SAME: %[[OUT:[^:]*]]: memref<?x16xf32> {pipe.name = "out", pipe.output})
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xf32> {
  // CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses
  // CHECK:      pipe.pipeline

  // CHECK-NEXT: pipe.stage "ask" lag 0 {
  // CHECK:        pipe.claim @asks
  // CHECK:        pipe.put @asks_sent[{{.*}} bytes 320 plus %c0 times 0 signal @asks[

  // A node's sum leaves it in float32, unrounded, and answers the question.
  // CHECK:      pipe.stage "sum" lag 1 {
  // CHECK:        pipe.receive @asks[%[[LANE:.*]]] from
  // CHECK:        pipe.claim @sums[%[[LANE]]] from
  // CHECK:        %[[RING:.*]] = pipe.local @sums_sent
  // CHECK:        %[[SUMS:.*]] = pipe.view %[[RING]][{{.*}} at 0 : memref<2x4x256xi8> to memref<4x16xf32>
  // CHECK:        pipe.reduce_row %[[ADDRESSES]] at({{.*}} as memref<?x16xbf16> into %[[SUMS]][%{{.*}}] ranks 6 per_node 2 :
  // CHECK:        pipe.put @sums_sent[{{.*}} @sums_taken[{{.*}} bytes 0 plus %{{.*}} times 64 signal @sums[
  // CHECK-NEXT:   pipe.release @asks[%[[LANE]]]

  // The nodes' sums in ascending order, the own one among them, are rounded once.
  // CHECK:      pipe.stage "finish" lag 2 {
  // CHECK:        pipe.receive @sums
  // CHECK:        %[[SUMMANDS:.*]] = pipe.local @summands
  // CHECK:        %[[OWN:.*]] = pipe.view %{{.*}} at 0 : memref<1x64xi8> to memref<1x16xf32>
  // CHECK:          pipe.reduce_row %[[ADDRESSES]] at({{.*}} into %[[OWN]][%c0]
  // CHECK-NEXT:     %[[OWN_AT:.*]] = pipe.row_address %[[OWN]][%c0]
  // CHECK-NEXT:     memref.store %[[OWN_AT]], %[[SUMMANDS]]
  // CHECK-NEXT:   } else {
  // CHECK:          %[[TAKEN:.*]] = pipe.local @sums_taken
  // CHECK:          %[[THEIRS:.*]] = pipe.view %[[TAKEN]]
  // CHECK:          %[[THEIRS_AT:.*]] = pipe.row_address %[[THEIRS]]
  // CHECK-NEXT:     memref.store %[[THEIRS_AT]], %[[SUMMANDS]]
  // CHECK:        pipe.merge_row %[[SUMMANDS]] count %{{.*}} into %[[OUT]][%{{.*}}] : memref<3xi64> into memref<?x16xf32>
  // CHECK:        pipe.release @sums
  // CHECK-NOT:  pipe.stage
  // CHECK:      pipe.receive @outputs_taken
  // CHECK:      pipe.return
  %z = fusco.combine %y by %plan weighted hops [#gather, #back]
    : !rows, !fusco.plan<@ep> -> tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}
