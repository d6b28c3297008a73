// One test for each constraint of the pipe dialect, named after its label.
// RUN: fusco-opt %s -split-input-file -verify-diagnostics

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

// expected-error@+1 {{'pipe.buffer' op expected a static shape, got 'memref<?xi32>'}}
pipe.buffer @buffer_c1 : memref<?xi32> symmetric

// -----

// Buffers hold plans and headers, not rows.
// expected-error@+1 {{attribute 'type' failed to satisfy constraint: type attribute of memref of 8-bit signless integer or 32-bit signless integer or 64-bit signless integer or 32-bit float values}}
pipe.buffer @buffer_of_rows : memref<8xbf16> symmetric

// -----

// expected-error@+1 {{'pipe.channel' op expected at least 1 lane and 1 slot, got 0 and 2}}
pipe.channel @channel_c1 phase plan link scale_up lanes 0 depth 2 freed_by rounds

// -----

// expected-error@+1 {{'pipe.channel' op expected at least 1 lane and 1 slot, got 8 and -1}}
pipe.channel @channel_c1_depth phase plan link scale_up lanes 8 depth -1 freed_by rounds

// -----

// expected-error@+1 {{expected 'answer' where slots are freed by answers, and only there}}
pipe.channel @channel_c2 phase combine link scale_out lanes 1 depth 2 freed_by answer

// -----

pipe.channel @sums phase combine link scale_out lanes 1 depth 2 freed_by question
// expected-error@+1 {{expected 'answer' where slots are freed by answers, and only there}}
pipe.channel @channel_c2_not_freed phase combine link scale_out lanes 1 depth 2 freed_by credit @sums

// -----

pipe.buffer @counts : memref<8xi32> symmetric
// expected-error@+1 {{expected @counts to name a 'pipe.channel'}}
pipe.channel @channel_c2_buffer phase combine link scale_out lanes 1 depth 2 freed_by answer @counts

// -----

pipe.channel @sums phase combine link scale_out lanes 2 depth 2 freed_by question
// expected-error@+1 {{expected as many lanes as @sums has and no more slots, got 1 lanes of 2, there 2 of 2}}
pipe.channel @channel_c2_lanes phase combine link scale_out lanes 1 depth 2 freed_by answer @sums

// -----

pipe.channel @sums phase combine link scale_out lanes 1 depth 2 freed_by question
// expected-error@+1 {{expected as many lanes as @sums has and no more slots, got 1 lanes of 3, there 1 of 2}}
pipe.channel @channel_c2_slots phase combine link scale_out lanes 1 depth 3 freed_by answer @sums

// -----

// expected-error@+1 {{expected 'chunks', the most that a program sends on a lane, since slots are freed by its start}}
pipe.channel @channel_c3 phase rows link scale_up lanes 4 depth 2 freed_by start

// -----

// expected-error@+1 {{expected a slot for each of 3 chunks, got 2}}
pipe.channel @channel_c3_depth phase rows link scale_up lanes 4 depth 2 freed_by start chunks 3

// -----

pipe.channel @channel phase plan link scale_up lanes 8 depth 1 freed_by rounds
pipe.program @local_c1() {
  // expected-error@+1 {{expected @channel to name a 'pipe.buffer'}}
  %0 = pipe.local @channel : memref<8xi32>
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

pipe.buffer @ring : memref<4x640xi8> symmetric
pipe.program @view_c1() {
  %ring = pipe.local @ring : memref<4x640xi8>
  // expected-error@+1 {{expected indices for all dimensions but the last, of bytes, got 0 for 'memref<4x640xi8>'}}
  %0 = pipe.view %ring[] at 0 : memref<4x640xi8> to memref<4xi32>
  pipe.return
}

// -----

pipe.program @rows_at_c1() {
  %address = arith.constant 64 : i64
  // expected-error@+1 {{expected a static shape, got 'memref<?x16xbf16>'}}
  %0 = pipe.rows_at %address : memref<?x16xbf16>
  pipe.return
}

// -----

pipe.program @view_c1_dynamic(%ring: memref<4x?xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // expected-error@+1 {{expected indices for all dimensions but the last, of bytes, got 1 for 'memref<4x?xi8>'}}
  %0 = pipe.view %ring[%slot] at 0 : memref<4x?xi8> to memref<4xi32>
  pipe.return
}

// -----

pipe.program @view_c2(%ring: memref<4x640xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // expected-error@+1 {{expected a result of a static shape, of contiguous rows, got 'memref<?xi32>'}}
  %0 = pipe.view %ring[%slot] at 0 : memref<4x640xi8> to memref<?xi32>
  pipe.return
}

// -----

pipe.program @view_c2_strided(%ring: memref<4x640xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // The last of 5 rows ends within 640 bytes, that of 6 does not.
  %fits = pipe.view %ring[%slot] at 0 : memref<4x640xi8> to memref<5x16xbf16, strided<[72, 1]>>
  // expected-error@+1 {{expected 'memref<6x16xbf16, strided<[72, 1]>>' at a multiple of 2 within 640 bytes, got 752 bytes at 0}}
  %0 = pipe.view %ring[%slot] at 0 : memref<4x640xi8> to memref<6x16xbf16, strided<[72, 1]>>
  pipe.return
}

// -----

pipe.program @view_c2_columns(%ring: memref<4x640xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // expected-error@+1 {{expected a result of a static shape, of contiguous rows, got 'memref<4x16xbf16, strided<[32, 2]>>'}}
  %0 = pipe.view %ring[%slot] at 0 : memref<4x640xi8> to memref<4x16xbf16, strided<[32, 2]>>
  pipe.return
}

// -----

pipe.program @view_c2_offset(%ring: memref<4x640xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // expected-error@+1 {{expected a result of a static shape, of contiguous rows, got 'memref<4x16xbf16, strided<[32, 1], offset: 8>>'}}
  %0 = pipe.view %ring[%slot] at 0 : memref<4x640xi8> to memref<4x16xbf16, strided<[32, 1], offset: 8>>
  pipe.return
}

// -----

pipe.program @view_c2_outside(%ring: memref<4x640xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // expected-error@+1 {{expected 'memref<4x16xbf16>' at a multiple of 2 within 640 bytes, got 128 bytes at 514}}
  %0 = pipe.view %ring[%slot] at 514 : memref<4x640xi8> to memref<4x16xbf16>
  pipe.return
}

// -----

pipe.program @view_c2_unaligned(%ring: memref<4x640xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // expected-error@+1 {{expected 'memref<8xi64>' at a multiple of 8 within 640 bytes, got 64 bytes at 4}}
  %0 = pipe.view %ring[%slot] at 4 : memref<4x640xi8> to memref<8xi64>
  pipe.return
}

// -----

pipe.program @view_c2_before(%ring: memref<4x640xi8> {pipe.name = "a"}) {
  %slot = pipe.rank
  // expected-error@+1 {{expected 'memref<8xi64>' at a multiple of 8 within 640 bytes, got 64 bytes at -8}}
  %0 = pipe.view %ring[%slot] at -8 : memref<4x640xi8> to memref<8xi64>
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

pipe.program @claim_c1() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @nothing to name a 'pipe.channel'}}
  %slot = pipe.claim @nothing[%0] from %0
  pipe.return
}

// -----

pipe.buffer @counts : memref<8xi32> symmetric
pipe.program @signal_c1() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @counts to name a 'pipe.channel'}}
  pipe.signal @counts[%0] to %0[%0]
  pipe.return
}

// -----

pipe.program @receive_c1() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @nothing to name a 'pipe.channel'}}
  %slot = pipe.receive @nothing[%0] from %0
  pipe.return
}

// -----

pipe.program @held_c1() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @nothing to name a 'pipe.channel'}}
  %slot = pipe.held @nothing[%0]
  pipe.return
}

// -----

pipe.program @release_c1() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @nothing to name a 'pipe.channel'}}
  pipe.release @nothing[%0] to %0[%0]
  pipe.return
}

// -----

pipe.buffer @ring : memref<4x640xi8> symmetric
pipe.program @put_c1() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @nothing to name a 'pipe.channel'}}
  pipe.put @ring[%0] to %0 @ring[%0] bytes 640 plus %0 times 0 signal @nothing[%0, %0]
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by credit
pipe.buffer @ring : memref<4x640xi8> symmetric
pipe.program @put_c2() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @rows to name a symmetric 'pipe.buffer'}}
  pipe.put @rows[%0] to %0 @ring[%0] bytes 640 plus %0 times 0 signal @rows[%0, %0]
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by credit
pipe.buffer @ring : memref<4x640xi8> symmetric
pipe.buffer @mine : memref<4x640xi8> plan
pipe.program @put_c2_plan() {
  %0 = pipe.rank
  // expected-error@+1 {{expected @mine to name a symmetric 'pipe.buffer'}}
  pipe.put @ring[%0] to %0 @mine[%0] bytes 640 plus %0 times 0 signal @rows[%0, %0]
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by credit
pipe.buffer @ring : memref<4x640xi8> symmetric
pipe.program @put_c2_indices() {
  %0 = pipe.rank
  // expected-error@+1 {{expected indices for all dimensions of @ring but the last, got 2 for 'memref<4x640xi8>'}}
  pipe.put @ring[%0] to %0 @ring[%0, %0] bytes 640 plus %0 times 0 signal @rows[%0, %0]
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by credit
pipe.buffer @ring : memref<4x640xi8> symmetric
pipe.buffer @short : memref<159xi32> symmetric
pipe.program @put_c2_sizes() {
  %0 = pipe.rank
  // expected-error@+1 {{expected rows of one size, got 640 and 636 bytes}}
  pipe.put @ring[%0] to %0 @short[] bytes 640 plus %0 times 0 signal @rows[%0, %0]
  pipe.return
}

// -----

pipe.program @put_rows_c1(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = pipe.rank
  %window = pipe.window %x : memref<?x16xbf16>
  // expected-error@+1 {{expected @nothing to name a 'pipe.channel'}}
  pipe.put_rows %x[%0] to %0 at %window[%0] count %0 signal @nothing[%0, %0] : memref<?x16xbf16>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Pipelines
//===----------------------------------------------------------------------===//

pipe.program @pipeline_c1() {
  %chunks = pipe.rank
  pipe.pipeline chunks %chunks {
    // expected-error@+1 {{'pipe.fence' op expected only 'pipe.stage' in a 'pipe.pipeline'}}
    pipe.fence
  }
  pipe.return
}

// -----

pipe.program @pipeline_c1_lags() {
  %chunks = pipe.rank
  pipe.pipeline chunks %chunks {
    pipe.stage "send" lag 2 {
    ^bb0(%chunk: index):
    }
    // expected-error@+1 {{'pipe.stage' op expected a lag of at least 2, that of the stage before it, got 1}}
    pipe.stage "forward" lag 1 {
    ^bb0(%chunk: index):
    }
  }
  pipe.return
}

// -----

pipe.program @pipeline_c1_empty() {
  %chunks = pipe.rank
  // expected-error@+1 {{expected at least 1 stage}}
  pipe.pipeline chunks %chunks {
  ^bb0:
  }
  pipe.return
}

// -----

pipe.program @pipeline_c2() {
  %chunks = pipe.rank
  %bad = arith.constant true
  scf.if %bad {
    // expected-error@+1 {{expected straight in a 'pipe.program'}}
    pipe.pipeline chunks %chunks {
      pipe.stage "send" lag 0 {
      ^bb0(%chunk: index):
      }
    }
  }
  pipe.return
}

// -----

pipe.program @stage_c1() {
  %chunks = pipe.rank
  pipe.pipeline chunks %chunks {
    // expected-error@+1 {{expected the number of a chunk, an index, as the one argument of its body}}
    pipe.stage "send" lag 0 {
      pipe.fence
    }
  }
  pipe.return
}

// -----

pipe.program @stage_c1_type() {
  %chunks = pipe.rank
  pipe.pipeline chunks %chunks {
    // expected-error@+1 {{expected the number of a chunk, an index, as the one argument of its body}}
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: i64):
    }
  }
  pipe.return
}

// -----

pipe.program @stage_c2() {
  %chunks = pipe.rank
  pipe.pipeline chunks %chunks {
    // expected-error@+1 {{expected a lag of at least 0, got -1}}
    pipe.stage "send" lag -1 {
    ^bb0(%chunk: index):
    }
  }
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

pipe.program @place_c2_capacity(%counts: memref<4x8xi32> {pipe.name = "a"}, %e: memref<8xi32> {pipe.name = "b"},
                                %r: memref<4xi32> {pipe.name = "c"}) {
  %rank = pipe.rank
  // expected-error@+1 {{expected 'capacity' of at least 1, got 0}}
  pipe.place %counts of %rank into (%e, %e, %e, %r) align 1 capacity 0
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
    scale_out node scale_up rank
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
    scale_out node scale_up rank
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
    scale_out node scale_up rank
    : memref<?x2xi32> at memref<8xi32>
    into (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>, memref<4x2xf32>, memref<8xi64>)
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

func.func @copy_row_c1(%x: memref<?x16xbf16>, %addresses: memref<4xi64>, %table: memref<4x2xi32>, %i: index) {
  // expected-error@+1 {{'pipe.copy_row' op expected in a 'pipe.program' or 'pipe.team'}}
  pipe.copy_row %x[%i] to %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xbf16>
    : memref<?x16xbf16> to memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>)
  return
}

// -----

pipe.program @copy_row_c2(%x: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                          %table: memref<4x2xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.copy_row' op expected rows of 16, got 'memref<?x8xf32>'}}
  pipe.copy_row %x[%i] to %addresses at (%table, %table)[%i, %i to %i] as memref<?x8xf32>
    : memref<?x16xbf16> to memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>)
  pipe.return
}

// -----

pipe.program @store_row_c1(%x: memref<?x16xbf16> {pipe.name = "a"}, %y: memref<?x17xbf16> {pipe.name = "b"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.store_row' op expected rows of 16, got 'memref<?x17xbf16>'}}
  pipe.store_row %x[%i] to %y[%i] : memref<?x16xbf16> to memref<?x17xbf16>
  pipe.return
}

// -----

pipe.program @quantize_row_c1(%x: memref<?x16xbf16> {pipe.name = "a"}, %d: memref<1x8xf8E4M3FN> {pipe.name = "b"},
                              %s: memref<1x4xf32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.quantize_row' op expected rows of 16, got 'memref<1x8xf8E4M3FN>'}}
  pipe.quantize_row %x[%i] into %d, %s[%i] block 4
    : memref<?x16xbf16> into memref<1x8xf8E4M3FN>, memref<1x4xf32>
  pipe.return
}

// -----

pipe.program @quantize_row_c1_scales(%x: memref<?x16xbf16> {pipe.name = "a"}, %d: memref<1x16xf8E4M3FN> {pipe.name = "b"},
                                     %s: memref<1x4xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.quantize_row' op expected 1 scales in a row, got 'memref<1x4xi32>'}}
  pipe.quantize_row %x[%i] into %d, %s[%i] block 4
    : memref<?x16xbf16> into memref<1x16xf8E4M3FN>, memref<1x4xi32>
  pipe.return
}

// -----

pipe.program @reduce_row_c1(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                            %table: memref<4x2xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{expected at least 1 rank per node, got 0}}
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xbf16> into %out[%i] ranks 4 per_node 0
    : memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>) into memref<?x16xbf16>
  pipe.return
}

// -----

func.func @reduce_row_c2(%out: memref<?x16xbf16>, %addresses: memref<4xi64>, %table: memref<4x2xi32>, %i: index) {
  // expected-error@+1 {{'pipe.reduce_row' op expected in a 'pipe.program' or 'pipe.team'}}
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xbf16> into %out[%i] ranks 4 per_node 2
    : memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>) into memref<?x16xbf16>
  return
}

// -----

pipe.program @reduce_row_c3(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                            %table: memref<4x2xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.reduce_row' op expected rows of 16, got 'memref<?x32xbf16>'}}
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x32xbf16> into %out[%i] ranks 4 per_node 2
    : memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>) into memref<?x16xbf16>
  pipe.return
}

// -----

pipe.program @reduce_row_c3_plus(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                                 %table: memref<4x2xi32> {pipe.name = "c"}, %plus: memref<?x8xf32> {pipe.name = "d"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.reduce_row' op expected rows of 16, got 'memref<?x8xf32>'}}
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xbf16> into %out[%i] plus %plus ranks 4 per_node 2
    : memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>) into memref<?x16xbf16> plus memref<?x8xf32>
  pipe.return
}

// -----

pipe.program @reduce_row_c4(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                            %table: memref<4x2xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.reduce_row' op expected scales of rows of 'memref<?x16xf8E5M2>'}}
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xf8E5M2> into %out[%i] ranks 4 per_node 2
    : memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>) into memref<?x16xbf16>
  pipe.return
}

// -----

pipe.program @reduce_row_c4_type(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                                 %table: memref<4x2xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.reduce_row' op expected no scales of rows of 'memref<?x16xbf16>'}}
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xbf16>
    scaled %addresses as memref<?x4xf32> block 4 into %out[%i] ranks 4 per_node 2
    : memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>) scaled memref<4xi64> into memref<?x16xbf16>
  pipe.return
}

// -----

pipe.program @reduce_row_c4_columns(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                                    %table: memref<4x2xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.reduce_row' op expected 1 scales in a row, got 'memref<?x4xi32>'}}
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xf8E5M2>
    scaled %addresses as memref<?x4xi32> block 4 into %out[%i] ranks 4 per_node 2
    : memref<4xi64> at (memref<4x2xi32>, memref<4x2xi32>) scaled memref<4xi64> into memref<?x16xbf16>
  pipe.return
}

// -----

pipe.program @merge_row_c1(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"},
                           %plus: memref<?x8xbf16> {pipe.name = "c"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.merge_row' op expected rows of 16, got 'memref<?x8xbf16>'}}
  pipe.merge_row %addresses count %i into %out[%i] plus %plus : memref<4xi64> into memref<?x16xbf16> plus memref<?x8xbf16>
  pipe.return
}

// -----

pipe.program @merge_row_c2(%out: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"}) {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.merge_row' op expected 'partials' of f32 or bf16, got 'f16'}}
  pipe.merge_row %addresses count %i into %out[%i] partials f16 : memref<4xi64> into memref<?x16xbf16>
  pipe.return
}

// -----

pipe.program @dot_row_c1(%x: memref<?x16xbf16> {pipe.name = "a"}, %addresses: memref<4xi64> {pipe.name = "b"}) {
  %i = pipe.rank
  %address = memref.load %addresses[%i] : memref<4xi64>
  // expected-error@+1 {{'pipe.dot_row' op expected rows of 16, got 'memref<?x15xbf16>'}}
  %0 = pipe.dot_row %x[%i] with %address as memref<?x15xbf16> : memref<?x16xbf16>
  pipe.return
}

// -----

pipe.program @for_each_c1() {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.for_each' op expected an index as the one argument of its body}}
  pipe.for_each %i to %i {
  ^bb0(%a: index, %b: index):
  }
  pipe.return
}

// -----

pipe.channel @c phase rows link scale_up lanes 1 depth 1 freed_by rounds
pipe.program @for_each_c2() {
  %i = pipe.rank
  pipe.for_each %i to %i {
  ^bb0(%a: index):
    // expected-error@+1 {{'pipe.signal' op expected nothing in a 'pipe.for_each' that waits, signals or leaves the program}}
    pipe.signal @c[%a] to %a[%a]
  }
  pipe.return
}

// -----

pipe.program @p(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  pipe.return
}
// expected-error@+1 {{'pipe.team' op expected the arguments of @p first}}
pipe.team @team_c1 of @p {
^bb0(%i: index):
  pipe.return
}

// -----

pipe.program @fork_c1() {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.fork' op expected the values that @t takes after the tensors, got 'index'}}
  pipe.fork @t(%i : index)
  pipe.return
}
pipe.team @t of @fork_c1 {
  pipe.return
}

// -----

pipe.program @meet_c1() {
  // expected-error@+1 {{'pipe.meet' op expected in a 'pipe.team'}}
  pipe.meet
  pipe.return
}

// -----

pipe.program @fork_c1_few() {
  // expected-error@+1 {{'pipe.fork' op expected the values that @t takes after the tensors, got }}
  pipe.fork @t
  pipe.return
}
pipe.team @t of @fork_c1_few {
^bb0(%i: index):
  pipe.return
}

// -----

// expected-error@+1 {{'pipe.span' op expected a channel for a wait or a put, and only there}}
pipe.span @span_c1 wait "rows"

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by rounds
// expected-error@+1 {{'pipe.span' op expected a channel for a wait or a put, and only there}}
pipe.span @span_c1_step step "rows" of @rows

// -----

// expected-error@+1 {{'pipe.span' op expected @span_c1_other to name a 'pipe.channel'}}
pipe.span @span_c1_other put "rows" of @span_c1_other

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by rounds
pipe.span @wait.rows wait "rows" of @rows
pipe.program @mark_c1() {
  // expected-error@+1 {{'pipe.mark' op expected @wait.rows to name a 'pipe.span' of a call, a step or a stage}}
  pipe.mark begin @wait.rows
  pipe.return
}

// -----

pipe.span @stage.send stage "send"
pipe.program @mark_c2() {
  // expected-error@+1 {{'pipe.mark' op expected a chunk where a stage begins, and only there}}
  pipe.mark begin @stage.send
  pipe.return
}

// -----

pipe.span @stage.send stage "send"
pipe.program @mark_c2_end() {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.mark' op expected a chunk where a stage begins, and only there}}
  pipe.mark end @stage.send chunk %i
  pipe.return
}

// -----

pipe.span @step.move step "move"
pipe.program @mark_c3() {
  %i = pipe.rank
  pipe.for_each %i to %i {
  ^bb0(%a: index):
    // expected-error@+1 {{'pipe.mark' op expected outside of a 'pipe.for_each'}}
    pipe.mark begin @step.move
  }
  pipe.return
}
