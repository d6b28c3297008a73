// Step by step, as a framework runs it. Blocks for ranks of this node are copied, others
// put; no chunks, and no other rank's heap is addressed.
// RUN: fusco-opt %s --fusco-lower-to-pipe --canonicalize --cse \
// RUN:   | FileCheck %s --implicit-check-not=pipe.peer --implicit-check-not=pipe.pipeline
// RUN: fusco-opt %s --fusco-lower-to-pipe="cache-bytes=0" | FileCheck %s --check-prefix=STREAM
// RUN: sed 's/ weighted//' %s | fusco-opt --fusco-lower-to-pipe | FileCheck %s --check-prefix=PLAIN
// RUN: fusco-opt %S/lower-to-pipe.mlir --fusco-plan-dedup --fusco-lower-to-pipe -split-input-file \
// RUN:   | FileCheck %s --check-prefix=FUSED

fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}

!tokens = tensor<?x16xbf16>
!send = tensor<?x16xbf16, #fusco.device_major<destination>>
!recv = tensor<?x16xbf16, #fusco.device_major<source>>
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>

// Its plan has two tables more than that of the fused form, which does not pay
// for them.
// CHECK:      pipe.channel @unfused_rows phase rows link scale_out lanes 4 depth 1 freed_by rounds
// CHECK-NEXT: pipe.channel @unfused_outputs phase combine link scale_out lanes 4 depth 1 freed_by rounds
// CHECK-NEXT: pipe.buffer @unfused_counts : memref<4x10xi32> plan
// CHECK-NEXT: pipe.buffer @send_bases : memref<10xi32> plan
// FUSED: pipe.buffer @weights
// FUSED-NOT: unfused_rows
// FUSED-NOT: unfused_counts
// FUSED-NOT: send_bases

// What lies between the steps comes last, and the caller provides it.
// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}
// CHECK-SAME: %[[IDS:[^:]*]]: memref<?x2xi32> {pipe.name = "ids"}
// CHECK-SAME: %[[WEIGHTS:[^:]*]]: memref<?x2xf32> {pipe.name = "weights"}
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "rows", pipe.output}
// CHECK-SAME: %[[SEND:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "send", pipe.output}
// CHECK-SAME: %[[RECV:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "recv", pipe.output})
// CHECK-SAME: attributes {fills_plan}
func.func @dispatch(%x: !tokens, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>) -> (!rows, !fusco.plan<@ep>) {
  // Peers write into recv, from where rows go on: what fits in both is the room,
  // and send must hold every assignment.
  // CHECK-DAG:  %[[RECV_ROOM:.*]] = memref.dim %[[RECV]], %c0
  // CHECK-DAG:  %[[ROWS_ROOM:.*]] = memref.dim %[[ROWS]], %c0
  // CHECK:      %[[ROOM:.*]] = arith.minsi %[[ROWS_ROOM]], %[[RECV_ROOM]]
  // CHECK:      %[[NEEDED:.*]] = arith.muli %{{.*}}, %c2 : index
  // CHECK:      %[[NEEDED64:.*]] = arith.index_cast %[[NEEDED]]
  // CHECK:      %[[SEND_ROOM:.*]] = memref.dim %[[SEND]], %c0
  // CHECK:      %[[HAS:.*]] = arith.index_cast %[[SEND_ROOM]]
  // CHECK:      %[[SHORT:.*]] = arith.cmpi sgt, %[[NEEDED64]], %[[HAS]]
  // CHECK:      %[[WINDOW:.*]] = pipe.window %[[RECV]]
  // CHECK:      %[[TURN:.*]] = pipe.claim @counts_exchanged
  // CHECK:      %[[ROOM64:.*]] = arith.index_cast %[[ROOM]]
  // CHECK:      %[[ROOM32:.*]] = arith.trunci %[[ROOM64]]
  // CHECK-NEXT: memref.store %[[ROOM32]], %{{.*}}[%[[TURN]], %{{.*}}, %c2]
  // CHECK:      %[[WINDOW32:.*]] = arith.trunci %[[WINDOW]]
  // CHECK-NEXT: memref.store %[[WINDOW32]], %{{.*}}[%[[TURN]], %{{.*}}, %c4]
  // CHECK:      pipe.receive @counts_exchanged
  // CHECK:      pipe.fail_if %[[SHORT]], capacity(%{{.*}}, %[[NEEDED64]], %[[HAS]])
  // CHECK:      pipe.fail_if %{{.*}}, invalid_routing(
  // CHECK:      %[[EXCHANGED:.*]] = memref.subview
  // CHECK:      pipe.place %[[EXCHANGED]]
  // CHECK:        pipe.fail_if %{{.*}}, capacity(

  // The exchanged counts stay in the plan.
  // CHECK:      %[[COUNTS:.*]] = pipe.local @unfused_counts
  // CHECK:        %[[COUNT:.*]] = memref.load %[[EXCHANGED]]
  // CHECK:        memref.store %[[COUNT]], %[[COUNTS]]

  // Permute: all addresses are this rank's send.
  // CHECK:      %[[SEND_BASES:.*]] = pipe.local @send_bases
  // CHECK:      pipe.assign %[[IDS]] weights %[[WEIGHTS]] of %{{.*}} at %[[SEND_BASES]] into
  // CHECK:      %[[SEND_WINDOW:.*]] = pipe.window %[[SEND]]
  // CHECK:      %[[OWN:.*]] = pipe.remote %{{.*}}, %[[SEND_WINDOW]]
  // CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses
  // CHECK:        memref.store %[[OWN]], %[[ADDRESSES]]
  // CHECK:      pipe.copy_row %[[X]][%{{.*}}] to %[[ADDRESSES]]
  // CHECK-NOT:  streaming

  // All-to-all: one block for each rank, into its recv. A put counts as arrived by
  // itself; copies are signalled together.
  // CHECK:      pipe.for_each %c0 to %c2
  // CHECK:        %[[PEER_RECV:.*]] = pipe.remote
  // CHECK-NEXT:   memref.store %[[PEER_RECV]], %[[ADDRESSES]]
  // CHECK:      scf.for %[[TO:.*]] = %c0 to %c4 step %c1
  // CHECK:        scf.if
  // CHECK-NEXT:     %[[ADDRESS:.*]] = memref.load %[[ADDRESSES]][%[[TO]]]
  // CHECK-NEXT:     pipe.copy_rows %[[SEND]][%[[FROM_ROW:.*]]] to %[[ADDRESS]][%[[TO_ROW:.*]]] count %[[COUNT:[^ ]*]] :
  // CHECK-NEXT:   } else {
  // CHECK:          pipe.put_rows %[[SEND]][%[[FROM_ROW]]] to %[[TO]] at %{{.*}}[%[[TO_ROW]]] count %[[COUNT]] signal @unfused_rows[%[[TO]],
  // CHECK-NOT:  pipe.copy_rows
  // CHECK:      pipe.fence
  // CHECK-NEXT: scf.for %{{.*}} = %c0 to %c2 step %c1
  // CHECK:        pipe.signal @unfused_rows
  // CHECK:      scf.for %[[FROM:.*]] = %c0 to %c4 step %c1
  // CHECK-NEXT:   pipe.receive @unfused_rows[%[[FROM]]] from %[[FROM]]

  // Permute: only once all have written.
  // CHECK:      %[[ROWS_WINDOW:.*]] = pipe.window %[[ROWS]]
  // CHECK:      %[[OWN_ROWS:.*]] = pipe.remote %{{.*}}, %[[ROWS_WINDOW]]
  // CHECK:      pipe.copy_rows %[[RECV]][%{{.*}}] to %[[OWN_ROWS]][%{{.*}}] count
  // CHECK-NOT:  streaming
  // CHECK:      pipe.zero_rows %[[ROWS]]
  // CHECK:      pipe.zero_rows %[[ROWS]]
  // CHECK:      pipe.fence
  // CHECK-NEXT: pipe.return

  // STREAM: pipe.copy_row %{{.*}} streaming
  // STREAM: pipe.copy_rows %{{.*}} streaming
  // STREAM: pipe.copy_rows %{{.*}} streaming
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %send = fusco.permute %x by %plan : !tokens, !fusco.plan<@ep> -> !send
  %recv = fusco.all_to_all %send by %plan : !send, !fusco.plan<@ep> -> !recv
  %rows = fusco.permute %recv by %plan : !recv, !fusco.plan<@ep> -> !rows
  return %rows, %plan : !rows, !fusco.plan<@ep>
}

// CHECK-LABEL: pipe.program @combine
// CHECK-SAME: (%[[Y:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "y"}
// CHECK-SAME: %[[OUT:[^:]*]]: memref<?x16xbf16> {pipe.name = "out", pipe.output}
// CHECK-SAME: %[[SEND:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "send_back", pipe.output}
// CHECK-SAME: %[[RECV:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "recv_back", pipe.output})
// CHECK-NOT: fills_plan
// STREAM-LABEL: pipe.program @combine
// PLAIN-LABEL: pipe.program @combine
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> !tokens {
  // Peers write into send; this rank into its recv.
  // CHECK-DAG:  %[[RECV_ROOM:.*]] = memref.dim %[[RECV]], %c0
  // CHECK-DAG:  %[[Y_ROOM:.*]] = memref.dim %[[Y]], %c0
  // CHECK:      %[[ROOM:.*]] = arith.minsi %[[Y_ROOM]], %[[RECV_ROOM]]
  // CHECK:      %[[HAS:.*]] = arith.index_cast %[[ROOM]]
  // CHECK:      %[[SHORT:.*]] = arith.cmpi sgt, %{{.*}}, %[[HAS]]
  // CHECK:      %[[SEND_ROOM:.*]] = memref.dim %[[SEND]], %c0
  // CHECK:      %[[WINDOW:.*]] = pipe.window %[[SEND]]
  // CHECK:      %[[TURN:.*]] = pipe.claim @outputs_ready
  // CHECK:      %[[SEND_ROOM64:.*]] = arith.index_cast %[[SEND_ROOM]]
  // CHECK:      %[[SEND_ROOM32:.*]] = arith.trunci %[[SEND_ROOM64]]
  // CHECK-NEXT: memref.store %[[SEND_ROOM32]], %{{.*}}[%[[TURN]], %{{.*}}, %c2]
  // CHECK:      %[[WINDOW32:.*]] = arith.trunci %[[WINDOW]]
  // CHECK-NEXT: memref.store %[[WINDOW32]], %{{.*}}[%[[TURN]], %{{.*}}, %c4]
  // CHECK:      pipe.receive @outputs_ready
  // CHECK:      pipe.fail_if %{{.*}}, refused(
  // CHECK:      pipe.fail_if %[[SHORT]], capacity(%{{.*}}, %[[HAS]])
  // CHECK:        pipe.fail_if %{{.*}}, peer_failed(
  // All ranks know what each sent, and so which rank's send is too small.
  // CHECK:      %[[COUNTS:.*]] = pipe.local @unfused_counts
  // CHECK:        memref.load %[[COUNTS]]
  // CHECK:        pipe.fail_if %{{.*}}, capacity(

  // Unpermute.
  // CHECK:      %[[RECV_WINDOW:.*]] = pipe.window %[[RECV]]
  // CHECK:      %[[OWN_RECV:.*]] = pipe.remote %{{.*}}, %[[RECV_WINDOW]]
  // CHECK:      pipe.copy_rows %[[Y]][%{{.*}}] to %[[OWN_RECV]][%{{.*}}] count
  // CHECK-NOT:  streaming

  // All-to-all, back to where the rows were sent from.
  // CHECK:        %[[PEER_SEND:.*]] = pipe.remote
  // CHECK-NEXT:   memref.store %[[PEER_SEND]], %[[ADDRESSES:.*]][%{{.*}}] : memref<4xi64>
  // CHECK:        scf.if
  // CHECK-NEXT:     %[[ADDRESS:.*]] = memref.load %[[ADDRESSES]]
  // CHECK-NEXT:     pipe.copy_rows %[[RECV]][%{{.*}}] to %[[ADDRESS]][%{{.*}}] count %{{[^ ]*}} :
  // CHECK-NEXT:   } else {
  // CHECK:          pipe.put_rows %[[RECV]]{{.*}} signal @unfused_outputs
  // CHECK-NOT:  pipe.copy_rows
  // CHECK:      pipe.fence
  // CHECK:      pipe.signal @unfused_outputs
  // CHECK:      pipe.receive @unfused_outputs

  // Unpermute: the same sum as in the fused form, over this rank's send.
  // CHECK:      %[[OWN_SEND:.*]] = pipe.remote %{{.*}}, %[[WINDOW]]
  // CHECK:        memref.store %[[OWN_SEND]], %[[ADDRESSES]]
  // CHECK:      %[[FACTORS:.*]] = pipe.local @weights
  // CHECK:      pipe.reduce_row %[[ADDRESSES]] {{.*}} weights %[[FACTORS]]{{.*}} as memref<?x16xbf16> into %[[OUT]][%{{.*}}] ranks 4 per_node 2 :
  // CHECK-NOT:  streaming
  // CHECK:      pipe.fence
  // CHECK-NEXT: pipe.return

  // STREAM: pipe.copy_rows %{{.*}} streaming
  // STREAM: pipe.copy_rows %{{.*}} streaming
  // STREAM: pipe.reduce_row %{{.*}} streaming

  // Only the sum is weighted.
  // PLAIN: pipe.reduce_row %{{[^ ]*}} at(%{{[^)]*}})[
  %recv = fusco.unpermute %y by %plan : !rows, !fusco.plan<@ep> -> !recv
  %send = fusco.all_to_all %recv by %plan : !recv, !fusco.plan<@ep> -> !send
  %out = fusco.unpermute %send by %plan weighted : !send, !fusco.plan<@ep> -> !tokens
  return %out : !tokens
}

// A cast of the tokens is done where they are permuted.
// CHECK-LABEL: pipe.program @cast_dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xf32> {pipe.name = "x"}
// CHECK: pipe.copy_row %[[X]]{{.*}} as memref<?x16xbf16> :
// CHECK: pipe.put_rows %{{.*}} : memref<?x16xbf16>
func.func @cast_dispatch(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>)
    -> (!rows, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %cast = fusco.cast %x : tensor<?x16xf32> -> !tokens
  %send = fusco.permute %cast by %plan : !tokens, !fusco.plan<@ep> -> !send
  %recv = fusco.all_to_all %send by %plan : !send, !fusco.plan<@ep> -> !recv
  %rows = fusco.permute %recv by %plan : !recv, !fusco.plan<@ep> -> !rows
  return %rows, %plan : !rows, !fusco.plan<@ep>
}
