// One test for each constraint of the pipe dialect, named after its label.
// RUN: fusco-opt %s -split-input-file -verify-diagnostics

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

// expected-error@+1 {{'pipe.buffer' op expected a static shape, got 'memref<?xi32>'}}
pipe.buffer @buffer_c1 : memref<?xi32> symmetric

// -----

// Buffers hold plans and headers, not rows.
// expected-error@+1 {{attribute 'type' failed to satisfy constraint: type attribute of memref of 32-bit signless integer or 64-bit signless integer or 32-bit float values}}
pipe.buffer @buffer_of_rows : memref<8xbf16> symmetric

// -----

// expected-error@+1 {{'pipe.counter' op expected at least 1 peer, got 0}}
pipe.counter @counter_c1 phase plan peers 0

// -----

// expected-error@+1 {{'pipe.counter' op expected at least 1 peer, got -8}}
pipe.counter @counter_c1_negative phase plan peers -8

// -----

pipe.counter @counter phase plan peers 8
pipe.program @local_c1() {
  // expected-error@+1 {{expected @counter to name a 'pipe.buffer'}}
  %0 = pipe.local @counter : memref<8xi32>
  pipe.return
}

// -----

// expected-note@+1 {{the buffer is declared here}}
pipe.buffer @counts : memref<8xi32> symmetric
pipe.program @local_c1_type() {
  // expected-error@+1 {{expected the type 'memref<8xi32>' of @counts, got 'memref<8xi64>'}}
  %0 = pipe.local @counts : memref<8xi64>
  pipe.return
}

// -----

pipe.program @peer_c1() {
  %rank = pipe.rank
  // expected-error@+1 {{expected @nothing to name a 'pipe.buffer'}}
  %0 = pipe.peer %rank @nothing : memref<8xi32>
  pipe.return
}

// -----

pipe.buffer @fanout : memref<8xi32> plan
pipe.program @peer_c2() {
  %rank = pipe.rank
  // expected-error@+1 {{expected @fanout to be symmetric, since a peer's is wanted}}
  %0 = pipe.peer %rank @fanout : memref<8xi32>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

// expected-error@+1 {{expected argument #1 to be a memref, got 'index'}}
pipe.program @program_c1(%x: memref<4xi32> {pipe.name = "x"}, %n: index {pipe.name = "n"}) {
  pipe.return
}

// -----

// expected-error@+1 {{expected no results, got 1}}
pipe.program @program_c1_results() -> i32 {
  pipe.return
}

// -----

// expected-error@+1 {{expected argument #1 to have the attribute 'pipe.name'}}
pipe.program @program_c2(%x: memref<4xi32> {pipe.name = "x"}, %y: memref<4xi32>) {
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

pipe.program @turn_c1() {
  // expected-error@+1 {{expected @nothing to name a 'pipe.counter'}}
  %0 = pipe.turn @nothing
  pipe.return
}

// -----

pipe.buffer @counts : memref<8xi32> symmetric
pipe.program @signal_c1() {
  %rank = pipe.rank
  // expected-error@+1 {{expected @counts to name a 'pipe.counter'}}
  pipe.signal @counts to %rank
  pipe.return
}

// -----

pipe.program @wait_c1() {
  %rank = pipe.rank
  // expected-error@+1 {{expected @nothing to name a 'pipe.counter'}}
  pipe.wait @nothing from %rank
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

pipe.program @histogram_c1(%ids: memref<?x2xi32> {pipe.name = "a"}, %h: memref<1xi32> {pipe.name = "b"}) {
  // expected-error@+1 {{expected a histogram of experts + 1 entries, got 'memref<1xi32>'}}
  %0 = pipe.histogram %ids into %h : memref<?x2xi32>, memref<1xi32>
  pipe.return
}

// -----

pipe.program @histogram_c1_dynamic(%ids: memref<?x2xi32> {pipe.name = "a"}, %h: memref<?xi32> {pipe.name = "b"}) {
  // expected-error@+1 {{expected a histogram of experts + 1 entries, got 'memref<?xi32>'}}
  %0 = pipe.histogram %ids into %h : memref<?x2xi32>, memref<?xi32>
  pipe.return
}

// -----

pipe.program @place_c1(%counts: memref<4x8xi32> {pipe.name = "a"}, %e: memref<8xi32> {pipe.name = "b"},
                       %short: memref<7xi32> {pipe.name = "c"}, %r: memref<4xi32> {pipe.name = "d"}) {
  %rank = pipe.rank
  // expected-error@+1 {{expected tables of 8 experts, got 'memref<7xi32>'}}
  pipe.place %counts of %rank into (%e, %short, %e, %r) align 1
    : memref<4x8xi32> into (memref<8xi32>, memref<7xi32>, memref<8xi32>, memref<4xi32>)
  pipe.return
}

// -----

pipe.program @place_c1_rows(%counts: memref<4x8xi32> {pipe.name = "a"}, %e: memref<8xi32> {pipe.name = "b"}) {
  %rank = pipe.rank
  // expected-error@+1 {{expected 'rows' of 4 ranks, got 'memref<8xi32>'}}
  pipe.place %counts of %rank into (%e, %e, %e, %e) align 1
    : memref<4x8xi32> into (memref<8xi32>, memref<8xi32>, memref<8xi32>, memref<8xi32>)
  pipe.return
}

// -----

pipe.program @place_c2(%counts: memref<4x8xi32> {pipe.name = "a"}, %e: memref<8xi32> {pipe.name = "b"},
                       %r: memref<4xi32> {pipe.name = "c"}) {
  %rank = pipe.rank
  // expected-error@+1 {{expected 'align' of at least 1, got 0}}
  pipe.place %counts of %rank into (%e, %e, %e, %r) align 0
    : memref<4x8xi32> into (memref<8xi32>, memref<8xi32>, memref<8xi32>, memref<4xi32>)
  pipe.return
}

// -----

pipe.program @assign_c1(%ids: memref<?x2xi32> {pipe.name = "a"}, %bases: memref<8xi32> {pipe.name = "b"},
                        %fanout: memref<4xi32> {pipe.name = "c"}, %table: memref<4x2xi32> {pipe.name = "d"},
                        %wide: memref<4x3xi32> {pipe.name = "e"}, %weights: memref<4x2xf32> {pipe.name = "f"},
                        %stats: memref<8xi64> {pipe.name = "g"}) {
  %rank = pipe.rank
  // expected-error@+1 {{expected tables of 2 columns, got 'memref<4x3xi32>'}}
  pipe.assign %ids of %rank at %bases into (%fanout, %table, %wide, %weights, %stats) ranks 4 per_node 2
    : memref<?x2xi32> at memref<8xi32>
    into (memref<4xi32>, memref<4x2xi32>, memref<4x3xi32>, memref<4x2xf32>, memref<8xi64>)
  pipe.return
}

// -----

pipe.program @assign_c1_bases(%ids: memref<?x2xi32> {pipe.name = "a"}, %bases: memref<?xi32> {pipe.name = "b"},
                              %fanout: memref<4xi32> {pipe.name = "c"}, %table: memref<4x2xi32> {pipe.name = "d"},
                              %weights: memref<4x2xf32> {pipe.name = "f"}, %stats: memref<8xi64> {pipe.name = "g"}) {
  %rank = pipe.rank
  // expected-error@+1 {{expected 'bases' of a static size, got 'memref<?xi32>'}}
  pipe.assign %ids of %rank at %bases into (%fanout, %table, %table, %weights, %stats) ranks 4 per_node 2
    : memref<?x2xi32> at memref<?xi32>
    into (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>, memref<4x2xf32>, memref<8xi64>)
  pipe.return
}

// -----

pipe.program @assign_c2(%ids: memref<?x2xi32> {pipe.name = "a"}, %bases: memref<8xi32> {pipe.name = "b"},
                        %fanout: memref<4xi32> {pipe.name = "c"}, %table: memref<4x2xi32> {pipe.name = "d"},
                        %weights: memref<4x2xf32> {pipe.name = "f"}, %stats: memref<8xi64> {pipe.name = "g"}) {
  %rank = pipe.rank
  // expected-error@+1 {{expected ranks in whole nodes, got 4 ranks, 3 per node}}
  pipe.assign %ids of %rank at %bases into (%fanout, %table, %table, %weights, %stats) ranks 4 per_node 3
    : memref<?x2xi32> at memref<8xi32>
    into (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>, memref<4x2xf32>, memref<8xi64>)
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

func.func @copy_row_c1(%x: memref<?x16xbf16>, %addresses: memref<4xi64>, %fanout: memref<4xi32>,
                       %table: memref<4x2xi32>, %token: index) {
  // expected-error@+1 {{'pipe.copy_row' op expected in a 'pipe.program'}}
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table)
    : memref<?x16xbf16> to memref<4xi64> at (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>)
  return
}

// -----

pipe.program @reduce_row_c1(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                            %fanout: memref<4xi32> {pipe.name = "c"}, %table: memref<4x2xi32> {pipe.name = "d"}) {
  %token = pipe.rank
  // expected-error@+1 {{expected at least 1 rank per node, got 0}}
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 4 per_node 0
    : memref<4xi64> at (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>) into memref<?x16xbf16>
  pipe.return
}

// -----

func.func @reduce_row_c2(%out: memref<?x16xbf16>, %addresses: memref<4xi64>, %fanout: memref<4xi32>,
                         %table: memref<4x2xi32>, %token: index) {
  // expected-error@+1 {{'pipe.reduce_row' op expected in a 'pipe.program'}}
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 4 per_node 2
    : memref<4xi64> at (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>) into memref<?x16xbf16>
  return
}
