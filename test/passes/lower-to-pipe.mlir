// RUN: fusco-opt %s --fusco-plan-direct --fusco-lower-to-pipe --canonicalize -split-input-file \
// RUN:   | FileCheck %s
// RUN: fusco-opt %s --fusco-plan-direct --fusco-lower-to-pipe="cache-bytes=0" -split-input-file \
// RUN:   | FileCheck %s --check-prefix=STREAM
// RUN: fusco-opt %s --fusco-plan-direct --fusco-lower-to-pipe="cache-bytes=2048" -split-input-file \
// RUN:   | FileCheck %s --check-prefix=MIXED

// A rank writes 32 tokens * 2 * 16 bf16 = 2048 bytes in dispatch, half in combine.
// CHECK: module attributes
// CHECK-SAME: {choice = "cached", reason = "a rank writes at most 2048 bytes {{.*}} subject = "dispatch.stores"}
// CHECK-SAME: {choice = "cached", reason = "a rank writes at most 1024 bytes {{.*}} subject = "combine.stores"}
// CHECK-SAME: pipe.align_rows = 8 : i64
// STREAM: {choice = "streaming", {{.*}} subject = "dispatch.stores"}, {choice = "streaming", {{.*}} subject = "combine.stores"}
// MIXED: {choice = "cached", {{.*}} subject = "dispatch.stores"}, {choice = "cached", {{.*}} subject = "combine.stores"}

// CHECK: fusco.group @ep
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}

// One counter per exchange; what ranks exchange stands twice.
// CHECK-DAG: pipe.counter @counts_arrived phase plan peers 4
// CHECK-DAG: pipe.counter @rows_arrived phase rows peers 4
// CHECK-DAG: pipe.counter @outputs_ready phase ready peers 4
// CHECK-DAG: pipe.counter @outputs_taken phase combine peers 4
// CHECK-DAG: pipe.buffer @dispatch_headers : memref<2x4x3xi64> symmetric
// CHECK-DAG: pipe.buffer @combine_headers : memref<2x4x3xi64> symmetric
// CHECK-DAG: pipe.buffer @counts : memref<2x4x10xi32> symmetric
// CHECK-DAG: pipe.buffer @histogram : memref<11xi32> symmetric
// CHECK-DAG: pipe.buffer @bases : memref<10xi32> plan
// CHECK-DAG: pipe.buffer @rank_rows : memref<4xi32> plan
// CHECK-DAG: pipe.buffer @fanout : memref<32xi32> plan
// CHECK-DAG: pipe.buffer @slots : memref<32x2xi32> plan
// CHECK-DAG: pipe.buffer @weights : memref<32x2xf32> plan

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}
// CHECK-SAME: %[[IDS:[^:]*]]: memref<?x2xi32> {pipe.name = "ids"}
// CHECK-SAME: %[[WEIGHTS:[^:]*]]: memref<?x2xf32> {pipe.name = "weights"}
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "rows", pipe.output}
// CHECK-SAME: %[[COUNTS:[^:]*]]: memref<3xi32> {pipe.name = "counts", pipe.output}
// CHECK-SAME: %[[OFFSETS:[^:]*]]: memref<4xi32> {pipe.name = "offsets", pipe.output}
// CHECK-SAME: attributes {fills_plan}
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>)
    -> (tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>) {
  // Count, then exchange counts and headers with all ranks, the own one included.
  // CHECK:      %[[BAD:.*]] = pipe.histogram %[[IDS]] into
  // CHECK:      pipe.window %[[ROWS]]
  // CHECK:      pipe.turn @counts_arrived
  // CHECK:      scf.for %{{.*}} = %c0 to %c4 step %c1
  // CHECK:        pipe.peer %{{.*}} @dispatch_headers
  // CHECK:        pipe.peer %{{.*}} @counts
  // CHECK:      scf.for %{{.*}} = %c0 to %c4 step %c1
  // CHECK-NEXT:   pipe.signal @counts_arrived
  // CHECK:      scf.for %{{.*}} = %c0 to %c4 step %c1
  // CHECK-NEXT:   pipe.wait @counts_arrived
  // Only then may a rank leave: its peers know why.
  // CHECK:      pipe.fail_if %{{.*}}, refused(
  // CHECK:      pipe.fail_if %{{.*}}, invalid_routing(%[[BAD]],
  // CHECK:      scf.for
  // CHECK:        pipe.fail_if %{{.*}}, peer_failed(
  // All ranks know all counts, and so all find the same rank too small.
  // CHECK:      pipe.place %{{.*}} align 8
  // CHECK:      scf.for
  // CHECK:        pipe.fail_if %{{.*}}, capacity(
  // CHECK:      pipe.assign %[[IDS]] weights %[[WEIGHTS]] {{.*}} ranks 4 per_node 2
  // CHECK:      pipe.remote
  // CHECK:      pipe.copy_row %[[X]]
  // CHECK-NOT:  streaming
  // Pads: before each of the 3 segments, and at the end.
  // CHECK:      scf.for %{{.*}} = %c0 to %c3 step %c1
  // CHECK:        memref.store %{{.*}}, %[[COUNTS]]
  // CHECK:        memref.store %{{.*}}, %[[OFFSETS]]
  // CHECK:        pipe.zero_rows %[[ROWS]]
  // CHECK:      pipe.zero_rows %[[ROWS]]
  // CHECK:      memref.store %{{.*}}, %[[OFFSETS]][%c3]
  // CHECK:      pipe.fence
  // CHECK:      pipe.signal @rows_arrived
  // CHECK:      pipe.wait @rows_arrived
  // CHECK-NEXT: }
  // CHECK-NEXT: pipe.return

  // STREAM: pipe.copy_row {{.*}} streaming
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
  // CHECK:      pipe.turn @outputs_ready
  // CHECK:      pipe.signal @outputs_ready
  // CHECK:      pipe.wait @outputs_ready
  // CHECK:      pipe.fail_if %{{.*}}, refused(
  // CHECK:      pipe.fail_if %{{.*}}, capacity(
  // CHECK:      pipe.fail_if %{{.*}}, peer_failed(
  // CHECK:      %[[FACTORS:.*]] = pipe.local @weights
  // CHECK:      pipe.reduce_row {{.*}} weights %[[FACTORS]] into %[[OUT]]{{.*}} ranks 4 per_node 2
  // CHECK-NOT:  streaming
  // CHECK:      pipe.signal @outputs_taken
  // CHECK:      pipe.wait @outputs_taken
  // CHECK-NEXT: }
  // CHECK-NEXT: pipe.return

  // STREAM: pipe.reduce_row {{.*}} streaming
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
  // CHECK: pipe.reduce_row %{{[^ ]*}} at(%{{[^)]*}}) into
  // MIXED: pipe.reduce_row
  // MIXED-NOT: streaming
  %z = fusco.combine %y by %plan
    : tensor<?x16xf32, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}
