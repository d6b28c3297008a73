// RUN: fusco-opt %s --pipe-fork-teams | FileCheck %s

pipe.buffer @fanout : memref<32xi32> plan
// CHECK-LABEL: pipe.program @p
pipe.program @p(%x: memref<?x64xf32> {pipe.name = "x"}, %y: memref<?x64xf32> {pipe.name = "y"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rank = pipe.rank
  %address = pipe.status
  %fanout = pipe.local @fanout : memref<32xi32>
  %tokens = memref.dim %x, %c0 : memref<?x64xf32>
  // What is scalar stays; a row is a warp's work.
  // CHECK: pipe.for_each
  pipe.for_each %c0 to %tokens {
  ^bb0(%t: index):
    %zero = arith.constant 0 : i32
    memref.store %zero, %fanout[%t] : memref<32xi32>
  }
  // CHECK: pipe.fork @p.team0(%[[TOKENS:.*]] : index)
  // CHECK-NOT: pipe.for_each
  pipe.for_each %c0 to %tokens {
  ^bb0(%t: index):
    %n = memref.load %fanout[%t] : memref<32xi32>
    %to = arith.index_cast %n : i32 to index
    pipe.store_row %x[%t] to %y[%to] : memref<?x64xf32> to memref<?x64xf32>
  }
  // CHECK: scf.for %[[I:.*]] =
  // CHECK-NEXT: pipe.fork @p.team1(%[[I]], %{{.*}} : index, i64)
  scf.for %i = %c0 to %tokens step %c1 {
    pipe.copy_rows %x[%i] to %address[%rank] count %c1 : memref<?x64xf32>
  }
  pipe.return
}

// Memory and constants a team gets itself; the tensors are the program's.
// CHECK-LABEL: pipe.team @p.team0 of @p {
// CHECK-NEXT: ^bb0(%[[X:.*]]: memref<?x64xf32>, %[[Y:.*]]: memref<?x64xf32>, %[[N:.*]]: index):
// CHECK-DAG:  %[[C0:.*]] = arith.constant 0
// CHECK-DAG:  %[[FANOUT:.*]] = pipe.local @fanout
// CHECK:      pipe.for_each %[[C0]] to %[[N]] {
// CHECK-NEXT: ^bb0(%[[T:.*]]: index):
// CHECK-NEXT:   memref.load %[[FANOUT]][%[[T]]]
// CHECK:        pipe.store_row %[[X]][%[[T]]] to %[[Y]]
// CHECK:      pipe.return
// CHECK-LABEL: pipe.team @p.team1 of @p {
// CHECK-NEXT: ^bb0(%{{.*}}, %{{.*}}: memref<?x64xf32>, %[[I:.*]]: index, %[[ADDRESS:.*]]: i64):
// CHECK-DAG:  %[[RANK:.*]] = pipe.rank
// CHECK:      pipe.copy_rows %{{.*}}[%[[I]]] to %[[ADDRESS]][%[[RANK]]]

// In a step that has a span, so has each worker's part; what else a span is
// around stays in the program.
pipe.span @call.q call "q"
pipe.span @step.move step "move"
// CHECK-LABEL: pipe.program @q
pipe.program @q(%x: memref<?x64xf32> {pipe.name = "x"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK:      pipe.mark begin @call.q
  pipe.mark begin @call.q
  // CHECK-NEXT: pipe.fork @q.team0
  pipe.for_each %c0 to %c1 {
  ^bb0(%t: index):
    pipe.zero_rows %x[%t, %t] : memref<?x64xf32>
  }
  // CHECK-NEXT: pipe.mark begin @step.move
  pipe.mark begin @step.move
  // CHECK:      pipe.fork @q.team1
  scf.for %i = %c0 to %c1 step %c1 {
    pipe.for_each %c0 to %c1 {
    ^bb0(%t: index):
      pipe.zero_rows %x[%t, %t] : memref<?x64xf32>
    }
  }
  // CHECK:      pipe.mark end @step.move
  pipe.mark end @step.move
  // CHECK-NEXT: pipe.mark end @call.q
  pipe.mark end @call.q
  pipe.return
}
// CHECK-LABEL: pipe.team @q.team0 of @q {
// CHECK-NOT:  pipe.mark
// CHECK-LABEL: pipe.team @q.team1 of @q {
// CHECK:      pipe.mark begin @step.move
// CHECK-NEXT: pipe.for_each
// CHECK:      pipe.mark end @step.move
// CHECK-NEXT: pipe.return
