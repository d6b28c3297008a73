// One node, once per assignment: rows go straight to their slots, and sums are of
// rows where they are. The other kinds of programs: lower-to-pipe-*.mlir.
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe --canonicalize --cse -split-input-file \
// RUN:   | FileCheck %s --implicit-check-not=pipe.peer --implicit-check-not=pipe.pipeline
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe="cache-bytes=640" -split-input-file \
// RUN:   | FileCheck %s --check-prefix=STREAM
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe="cache-bytes=2048" -split-input-file \
// RUN:   | FileCheck %s --check-prefix=MIXED

// A rank writes 32 tokens * 2 * 16 bf16 = 2048 bytes in dispatch, half in combine.
// CHECK: module attributes
// CHECK-SAME: {choice = "cached", reason = "a rank writes 64 bytes for a token, for at most 32 in a call; for more than 16384 {{.*}} subject = "dispatch.stores"}
// CHECK-SAME: {choice = "cached", reason = "a rank writes 32 bytes for a token, {{.*}} subject = "combine.stores"}
// CHECK-SAME: pipe.align_rows = 8 : i64
// STREAM: {choice = "streaming", {{.*}} subject = "dispatch.stores"}, {choice = "streaming", {{.*}} subject = "combine.stores"}
// MIXED: {choice = "cached", {{.*}} subject = "dispatch.stores"}, {choice = "cached", {{.*}} subject = "combine.stores"}

// CHECK: fusco.group @ep
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// All ranks tell each other at the start, and what they tell stands twice, since
// a peer may be a round ahead; the ranks of a node meet at the end. Headers are 32
// words, with dispatch's counts behind them.
// CHECK-NEXT: pipe.channel @counts_exchanged phase plan link scale_up lanes 4 depth 2 freed_by rounds
// CHECK-NEXT: pipe.channel @rows_done phase rows link scale_up lanes 4 depth 1 freed_by rounds
// CHECK-NEXT: pipe.channel @outputs_ready phase ready link scale_up lanes 4 depth 2 freed_by rounds
// CHECK-NEXT: pipe.channel @outputs_taken phase combine link scale_up lanes 4 depth 1 freed_by rounds
// CHECK-NEXT: pipe.buffer @dispatch_headers : memref<2x4x42xi32> symmetric
// CHECK-NEXT: pipe.buffer @combine_headers : memref<2x4x32xi32> symmetric
// CHECK-NEXT: pipe.buffer @histogram : memref<11xi32> symmetric
// CHECK-NEXT: pipe.buffer @chunks : memref<4xi32> symmetric
// CHECK-NEXT: pipe.buffer @stats : memref<11xi64> plan
// CHECK:      pipe.buffer @bases : memref<10xi32> plan
// CHECK-NEXT: pipe.buffer @rank_rows : memref<4xi32> plan
// CHECK-NEXT: pipe.buffer @addresses : memref<4xi64> plan
// CHECK-NEXT: pipe.buffer @fanout : memref<32xi32> plan
// CHECK-NEXT: pipe.buffer @ranks : memref<32x2xi32> plan
// CHECK-NEXT: pipe.buffer @slots : memref<32x2xi32> plan
// CHECK-NEXT: pipe.buffer @weights : memref<32x2xf32> plan

// CHECK-NEXT: pipe.program @dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}
// CHECK-SAME: %[[IDS:[^:]*]]: memref<?x2xi32> {pipe.name = "ids"}
// CHECK-SAME: %[[WEIGHTS:[^:]*]]: memref<?x2xf32> {pipe.name = "weights"}
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "rows", pipe.output}
// CHECK-SAME: %[[COUNTS:[^:]*]]: memref<3xi32> {pipe.name = "counts", pipe.output}
// CHECK-SAME: %[[OFFSETS:[^:]*]]: memref<4xi32> {pipe.name = "offsets", pipe.output}
// CHECK-SAME: attributes {fills_plan}
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>)
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>) {
  // Count, then put counts and header to all ranks, the own one included.
  // CHECK:      %[[SELF:.*]] = pipe.rank
  // CHECK:      %[[HISTOGRAM:.*]] = pipe.local @histogram
  // CHECK:      %[[BAD:.*]] = pipe.histogram %[[IDS]] into %[[HISTOGRAM]]
  // CHECK:      pipe.window %[[ROWS]]
  // CHECK:      %[[TURN:.*]] = pipe.claim @counts_exchanged[%[[SELF]]] from %[[SELF]]
  // CHECK:      %[[HEADERS:.*]] = pipe.local @dispatch_headers
  // CHECK:      memref.load %[[HISTOGRAM]]
  // CHECK-NEXT: memref.store %{{.*}}, %[[HEADERS]][%[[TURN]], %[[SELF]],
  // CHECK:      scf.for %[[TO:.*]] = %c0 to %c4 step %c1
  // CHECK-NEXT:   pipe.put @dispatch_headers[%[[TURN]], %[[SELF]]] to %[[TO]] @dispatch_headers[%[[TURN]], %[[SELF]]] bytes 168 plus %c0 times 0 signal @counts_exchanged[%[[TO]], %[[SELF]]]
  // CHECK:      scf.for %[[FROM:.*]] = %c0 to %c4 step %c1
  // CHECK-NEXT:   pipe.receive @counts_exchanged[%[[FROM]]] from %[[FROM]]
  // Only then may a rank leave: its peers know why.
  // CHECK:      pipe.fail_if %{{.*}}, refused(
  // CHECK:      pipe.fail_if %{{.*}}, invalid_routing(%[[BAD]],
  // CHECK:      scf.for
  // CHECK:        pipe.fail_if %{{.*}}, peer_failed(
  // All ranks know all counts, and so all find the same rank too small.
  // CHECK:      %[[ALL_COUNTS:.*]] = memref.subview %[[HEADERS]][%[[TURN]], 0, 32] [1, 4, 10]
  // CHECK:      pipe.place %[[ALL_COUNTS]] of %[[SELF]] {{.*}} align 8
  // CHECK:      scf.for
  // CHECK:        pipe.fail_if %{{.*}}, capacity(
  // CHECK:      pipe.assign %[[IDS]] weights %[[WEIGHTS]] of %[[SELF]] {{.*}} ranks 4 per_node 4 scale_out node scale_up assignment
  // CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses
  // CHECK:      pipe.for_each %c0 to %c4
  // CHECK:        %[[ADDRESS:.*]] = pipe.remote
  // CHECK-NEXT:   memref.store %[[ADDRESS]], %[[ADDRESSES]]
  // CHECK:      pipe.for_each %c0 to %{{.*}} {
  // CHECK-NEXT:   ^bb0(%[[TOKEN:.*]]: index):
  // CHECK:        %[[FANOUT:.*]] = arith.index_cast
  // CHECK-NEXT:   pipe.copy_row %[[X]][%[[TOKEN]]] to %[[ADDRESSES]] at(%{{[^)]*}})[%[[TOKEN]], %c0 to %[[FANOUT]]] as memref<?x16xbf16> :
  // Pads: before each of the 3 segments, and at the end.
  // CHECK:      scf.for %{{.*}} = %c0 to %c3 step %c1
  // CHECK:        memref.store %{{.*}}, %[[COUNTS]]
  // CHECK:        memref.store %{{.*}}, %[[OFFSETS]]
  // CHECK:        pipe.zero_rows %[[ROWS]]
  // CHECK:      pipe.zero_rows %[[ROWS]]
  // CHECK:      memref.store %{{.*}}, %[[OFFSETS]][%c3]
  // CHECK:      pipe.fence
  // CHECK-NEXT: scf.for %[[LANE:.*]] = %c0 to %c4 step %c1
  // CHECK:        pipe.signal @rows_done[%[[LANE]]] to
  // CHECK:      scf.for %[[LANE:.*]] = %c0 to %c4 step %c1
  // CHECK:        pipe.receive @rows_done[%[[LANE]]] from
  // CHECK-NEXT: }
  // CHECK-NEXT: pipe.return

  // More than 10 tokens write more than 640 bytes.
  // STREAM: %[[PAST:.*]] = arith.cmpi ugt, %{{.*}}, %c10 : index
  // STREAM: pipe.copy_row {{.*}} streaming %[[PAST]] :
  // MIXED: pipe.copy_row
  // MIXED-NOT: streaming
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %r#2, %plan
    : tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>
}

// CHECK-LABEL: pipe.program @combine
// CHECK-SAME: (%[[Y:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "y"}
// CHECK-SAME: %[[OUT:[^:]*]]: memref<?x16xbf16> {pipe.name = "out", pipe.output})
// CHECK-NOT: fills_plan
func.func @combine(%y: tensor<?x16xbf16, #fusco.expert_major<align = 8>>, %plan: !fusco.plan<@ep>)
    -> tensor<?x16xbf16> {
  // A refused rank has no plan to look at.
  // CHECK:      scf.if
  // CHECK-NEXT:   yield
  // CHECK:      else
  // CHECK-NEXT:   %[[SELF:.*]] = pipe.rank
  // CHECK-NEXT:   %[[ROWS:.*]] = pipe.local @rank_rows
  // CHECK-NEXT:   memref.load %[[ROWS]][%[[SELF]]]
  // CHECK:      pipe.window %[[Y]]
  // CHECK:      pipe.claim @outputs_ready
  // CHECK:      pipe.put @combine_headers[{{.*}} bytes 128 plus %c0 times 0 signal @outputs_ready
  // CHECK:      pipe.receive @outputs_ready
  // CHECK:      pipe.fail_if %{{.*}}, refused(
  // CHECK:      pipe.fail_if %{{.*}}, capacity(
  // CHECK:      pipe.fail_if %{{.*}}, peer_failed(
  // CHECK:      %[[FACTORS:.*]] = pipe.local @weights
  // CHECK:      pipe.for_each %c0 to %{{.*}} {
  // CHECK-NEXT:   ^bb0(%[[TOKEN:.*]]: index):
  // CHECK:        %[[FANOUT:.*]] = arith.index_cast
  // CHECK-NEXT:   pipe.reduce_row {{.*}} weights %[[FACTORS]][%[[TOKEN]], %c0 to %[[FANOUT]]] as memref<?x16xbf16> into %[[OUT]][%[[TOKEN]]] ranks 4 per_node 4 :
  // CHECK:      pipe.signal @outputs_taken
  // CHECK:      pipe.receive @outputs_taken
  // CHECK-NEXT: }
  // CHECK-NEXT: pipe.return

  // STREAM: %[[PAST:.*]] = arith.cmpi ugt, %{{.*}}, %c20{{.*}} : index
  // STREAM: pipe.reduce_row {{.*}} streaming %[[PAST]] :
  %z = fusco.combine %y by %plan weighted
    : tensor<?x16xbf16, #fusco.expert_major<align = 8>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %z : tensor<?x16xbf16>
}

// -----

// Without weights, with wide ids, in another order of arguments and results: the
// program's tensors keep the function's order, and names say which is which.
// Dispatch writes 4096 bytes, combine 2048, which is not past 2048.
// MIXED: {choice = "streaming", {{.*}} subject = "dispatch.stores"}, {choice = "cached", {{.*}} subject = "combine.stores"}
fusco.group @ep {experts = 4, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}

// CHECK-LABEL: pipe.program @unweighted_dispatch
// CHECK-SAME: %[[IDS:[^:]*]]: memref<?x2xi64> {pipe.name = "ids"}
// CHECK-SAME: memref<?x16xf32> {pipe.name = "x"}
// CHECK-SAME: memref<2xi32> {pipe.name = "offsets", pipe.output}
// CHECK-SAME: memref<?x16xf32> {pipe.expert_rows, pipe.name = "rows", pipe.output}
// CHECK-SAME: memref<1xi32> {pipe.name = "counts", pipe.output}
func.func @unweighted_dispatch(%ids: tensor<?x2xi64>, %x: tensor<?x16xf32>)
    -> (!fusco.plan<@ep>, tensor<2xi32>, tensor<?x16xf32, #fusco.expert_major<align = 1>>, tensor<1xi32>) {
  // CHECK: %[[ID:.*]] = memref.load %[[IDS]]
  // CHECK-NEXT: scf.yield %[[ID]] : i64
  // CHECK: pipe.place %{{.*}} align 1
  // CHECK: pipe.assign %[[IDS]] of
  // MIXED: pipe.copy_row {{.*}} streaming
  %plan = fusco.plan %ids in @ep : tensor<?x2xi64> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %plan : tensor<?x16xf32>, !fusco.plan<@ep>
    -> tensor<?x16xf32, #fusco.expert_major<align = 1>>, tensor<1xi32>, tensor<2xi32>
  return %plan, %r#2, %r#0, %r#1
    : !fusco.plan<@ep>, tensor<2xi32>, tensor<?x16xf32, #fusco.expert_major<align = 1>>, tensor<1xi32>
}

// CHECK-LABEL: pipe.program @unweighted_combine
// MIXED-LABEL: pipe.program @unweighted_combine
func.func @unweighted_combine(%plan: !fusco.plan<@ep>, %y: tensor<?x16xf32, #fusco.expert_major<align = 1>>)
    -> tensor<?x16xf32> {
  // CHECK: pipe.reduce_row %{{[^ ]*}} at(%{{[^)]*}})[
  // MIXED: pipe.reduce_row
  // MIXED-NOT: streaming
  %z = fusco.combine %y by %plan
    : tensor<?x16xf32, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}

// Rows that are cast on the way, in a plan that is given; counts that nobody wants
// are not told. Without ids there is nothing to count: what is exchanged is places.
// CHECK-LABEL: pipe.program @by_given_plan
// MIXED-LABEL: pipe.program @by_given_plan
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x16xf32> {pipe.expert_rows, pipe.name = "rows", pipe.output})
// CHECK-NOT: fills_plan
func.func @by_given_plan(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>)
    -> tensor<?x16xf32, #fusco.expert_major<align = 1>> {
  // CHECK-NOT: pipe.histogram
  // CHECK: pipe.receive @outputs_ready
  // CHECK-NOT: pipe.assign
  // CHECK: pipe.copy_row %[[X]][{{.*}} as memref<?x16xf32> :
  // CHECK: pipe.zero_rows %[[ROWS]]
  %r:3 = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep>
    -> tensor<?x16xf32, #fusco.expert_major<align = 1>>, tensor<1xi32>, tensor<2xi32>
  return %r#0 : tensor<?x16xf32, #fusco.expert_major<align = 1>>
}
