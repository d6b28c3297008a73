// Memory becomes addresses, time becomes atomics and calls of the runtime.
// RUN: fusco-opt %s --pipe-programs-to-cpu --canonicalize --cse -split-input-file -verify-diagnostics \
// RUN:   | FileCheck %s

// A lane takes a line for each slot, one for credits, one that only the owner touches:
// 256 bytes for two slots, 384 for four.
pipe.channel @done phase rows link scale_up lanes 4 depth 2 freed_by rounds at 256
pipe.channel @rows phase combine link scale_out lanes 3 depth 4 freed_by credit at 4096
pipe.channel @copies phase rows link scale_up lanes 3 depth 4 freed_by credit at 8192
pipe.buffer @ring : memref<3x4x640xi8> symmetric at 16384
pipe.buffer @shared : memref<4x8xi32> symmetric at 1024
pipe.buffer @far : memref<4xi64> symmetric at 8589934592
pipe.buffer @own : memref<4xi64> plan at 64

// The offsets are those of fusco_program_args: peers 8, plan 16, rank 24, status
// 32, tensors 40 on.
// CHECK-LABEL: func.func private @memory.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr) -> i32 attributes {llvm.linkage = #llvm.linkage<internal>}
pipe.program @memory(%x: memref<?x16xbf16> {pipe.name = "x"}, %n: memref<4xindex> {pipe.name = "n"}) {
  // CHECK: %[[PEERS_AT:.*]] = llvm.getelementptr %[[ARGS]][8]
  // CHECK: %[[PEERS:.*]] = llvm.load %[[PEERS_AT]]
  // CHECK: %[[PLAN_AT:.*]] = llvm.getelementptr %[[ARGS]][16]
  // CHECK: %[[PLAN:.*]] = llvm.load %[[PLAN_AT]]
  // CHECK: %[[RANK_AT:.*]] = llvm.getelementptr %[[ARGS]][24]
  // CHECK: %[[RANK:.*]] = llvm.load %[[RANK_AT]]
  // CHECK: %[[HEAP_AT:.*]] = llvm.getelementptr %[[PEERS]][%[[RANK]]]
  // CHECK: %[[HEAP:.*]] = llvm.load %[[HEAP_AT]]
  // The tensor's data, and its rows.
  // CHECK: %[[X_AT:.*]] = llvm.getelementptr %[[ARGS]][40]
  // CHECK: %[[X:.*]] = llvm.load %[[X_AT]] : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[ROWS_AT:.*]] = llvm.getelementptr %[[ARGS]][48]
  // CHECK: %[[ROWS:.*]] = llvm.load %[[ROWS_AT]] : !llvm.ptr -> i64
  // CHECK: llvm.insertvalue %[[ROWS]], %{{.*}}[3, 0]
  // CHECK: llvm.getelementptr %[[ARGS]][56]
  %rank = pipe.rank
  // CHECK: llvm.getelementptr %[[HEAP]][1024]
  %shared = pipe.local @shared : memref<4x8xi32>
  // CHECK: llvm.getelementptr %[[PLAN]][64]
  %own = pipe.local @own : memref<4xi64>
  // An offset that 32 bits do not hold.
  // CHECK: llvm.getelementptr %[[HEAP]][%c8589934592
  %far = pipe.local @far : memref<4xi64>
  %c2 = arith.constant 2 : index
  // CHECK: %[[PEER_AT:.*]] = llvm.getelementptr %[[PEERS]][2]
  // CHECK: %[[PEER:.*]] = llvm.load %[[PEER_AT]]
  // CHECK: llvm.getelementptr %[[PEER]][1024]
  %theirs = pipe.peer %c2 @shared : memref<4x8xi32>
  %value = memref.load %shared[%c2, %rank] : memref<4x8xi32>
  memref.store %value, %theirs[%c2, %rank] : memref<4x8xi32>
  // CHECK: memref.extract_aligned_pointer_as_index
  // CHECK: %[[BASE:.*]] = llvm.ptrtoint %[[HEAP]]
  // CHECK: %[[WINDOW:.*]] = arith.subi %{{.*}}, %[[BASE]]
  %window = pipe.window %x : memref<?x16xbf16>
  // CHECK: llvm.ptrtoint
  // CHECK: arith.addi %{{.*}}, %[[WINDOW]]
  %address = pipe.remote %c2, %window
  memref.store %address, %own[%rank] : memref<4xi64>
  memref.store %address, %far[%rank] : memref<4xi64>
  memref.store %rank, %n[%rank] : memref<4xindex>
  // A view: lane, slot and offset, in bytes.
  // CHECK: llvm.getelementptr %[[HEAP]][16384]
  // CHECK: %[[LANE:.*]] = arith.muli %{{.*}}, %c4
  // CHECK: %[[SLOT:.*]] = arith.addi %[[LANE]], %c2
  // CHECK: %[[ROW:.*]] = arith.muli %[[SLOT]], %c640
  // CHECK: %[[ROW_AT:.*]] = llvm.inttoptr
  // CHECK: llvm.getelementptr %[[ROW_AT]][512]
  %ring = pipe.local @ring : memref<3x4x640xi8>
  %view = pipe.view %ring[%rank, %c2] at 512 : memref<3x4x640xi8> to memref<4x16xi16>
  %i16 = memref.load %view[%c2, %c2] : memref<4x16xi16>
  memref.store %i16, %view[%c2, %rank] : memref<4x16xi16>
  // CHECK: return %c0_i32
  pipe.return
}

// Counted within a node: signals are atomic additions.
// CHECK-LABEL: func.func private @meet.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr)
pipe.program @meet(%n: memref<4xindex> {pipe.name = "n"}) {
  %rank = pipe.rank
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // What has been sent stands in the owner's line, behind two slots and credits.
  // Both ends of the lane take turns, so that there is nothing to wait for.
  // CHECK: %[[CHANNEL:.*]] = llvm.getelementptr %{{.*}}[256]
  // CHECK: %[[LANE:.*]] = llvm.getelementptr %[[CHANNEL]][256]
  // CHECK: %[[SENT_AT:.*]] = llvm.getelementptr %[[LANE]][192]
  // CHECK: %[[SENT:.*]] = llvm.load %[[SENT_AT]]
  // CHECK: arith.remui %[[SENT]], %c2_i64
  // CHECK-NOT: fusco_program_wait
  %slot = pipe.claim @done[%c1] from %rank
  memref.store %slot, %n[%c1] : memref<4xindex>
  // CHECK: llvm.call_intrinsic "llvm.x86.sse.sfence"
  pipe.fence
  // The slot's line in the peer's lane counts one more.
  // CHECK: %[[SENT:.*]] = llvm.load %[[SENT_AT]]
  // CHECK: %[[SLOT:.*]] = arith.remui %[[SENT]], %c2_i64
  // CHECK: %[[OFFSET:.*]] = arith.muli %[[SLOT]], %c64_i64
  // CHECK: %[[NEXT:.*]] = arith.addi %[[SENT]], %c1_i64
  // CHECK: llvm.store %[[NEXT]], %[[SENT_AT]]
  // CHECK: %[[PEER_CHANNEL:.*]] = llvm.getelementptr %{{.*}}[256]
  // CHECK: %[[PEER_LANE:.*]] = llvm.getelementptr %[[PEER_CHANNEL]][512]
  // CHECK: %[[COUNTER:.*]] = llvm.getelementptr %[[PEER_LANE]][%[[OFFSET]]]
  // CHECK: llvm.atomicrmw add %[[COUNTER]], %c1_i64 release : !llvm.ptr, i64
  pipe.signal @done[%c1] to %rank[%c2]
  // A receiver looks at the slot's line, where each time around the ring counts one,
  // and calls the runtime where that is not enough. That it has been received is
  // written only afterwards.
  // CHECK: %[[RECEIVED_AT:.*]] = llvm.getelementptr %[[LANE]][200]
  // CHECK: %[[RECEIVED:.*]] = llvm.load %[[RECEIVED_AT]]
  // CHECK: %[[SLOT:.*]] = arith.remui %[[RECEIVED]], %c2_i64
  // CHECK: %[[OFFSET:.*]] = arith.muli %[[SLOT]], %c64_i64
  // CHECK: %[[COUNTER:.*]] = llvm.getelementptr %[[LANE]][%[[OFFSET]]]
  // CHECK: %[[ROUNDS:.*]] = arith.divui %[[RECEIVED]], %c2_i64
  // CHECK: %[[EXPECTED:.*]] = arith.addi %[[ROUNDS]], %c1_i64
  // CHECK: %[[ACTUAL:.*]] = llvm.load %[[COUNTER]] atomic acquire {alignment = 8 : i64}
  // CHECK: %[[EARLY:.*]] = arith.cmpi slt, %[[ACTUAL]], %[[EXPECTED]]
  // CHECK: cf.cond_br %[[EARLY]], ^[[CALL:.*]], ^[[GO:[^ ]*]]
  // CHECK: ^[[CALL]]:
  // CHECK: %[[WAITED:.*]] = llvm.call @fusco_program_wait(%[[ARGS]], %[[COUNTER]], %[[EXPECTED]], %{{.*}}, %c0_i32)
  // CHECK: %[[OK:.*]] = arith.cmpi eq, %[[WAITED]], %c0_i32
  // CHECK: cf.cond_br %[[OK]], ^[[GO]], ^[[EXIT:.*]](%[[WAITED]] : i32)
  // CHECK: ^[[GO]]:
  // CHECK: %[[NEXT:.*]] = arith.addi %[[RECEIVED]], %c1_i64
  // CHECK: llvm.store %[[NEXT]], %[[RECEIVED_AT]]
  %arrived = pipe.receive @done[%c1] from %rank
  // Nobody waits for credits here.
  // CHECK: %[[RELEASED_AT:.*]] = llvm.getelementptr %[[LANE]][208]
  // CHECK: %[[RELEASED:.*]] = llvm.load %[[RELEASED_AT]]
  // CHECK: %[[NEXT:.*]] = arith.addi %[[RELEASED]], %c1_i64
  // CHECK: llvm.store %[[NEXT]], %[[RELEASED_AT]]
  // CHECK-NOT: atomicrmw
  // CHECK: ^[[EXIT]](%[[RESULT:.*]]: i32):
  // CHECK: return %[[RESULT]]
  pipe.release @done[%c1] to %rank[%c2]
  memref.store %arrived, %n[%c2] : memref<4xindex>
  pipe.return
}

// With credits the sender may be four slots ahead; between nodes all of it is puts.
// CHECK-LABEL: func.func private @send.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr)
pipe.program @send() {
  // CHECK: %[[RANK:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
  %rank = pipe.rank
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // CHECK: %[[CHANNEL:.*]] = llvm.getelementptr %[[HEAP:.*]][4096]
  // CHECK: %[[LANE:.*]] = llvm.getelementptr %[[CHANNEL]][384]
  // CHECK: %[[SENT_AT:.*]] = llvm.getelementptr %[[LANE]][320]
  // CHECK: %[[SENT:.*]] = llvm.load %[[SENT_AT]]
  // CHECK: %[[CREDITS:.*]] = llvm.getelementptr %[[LANE]][256]
  // CHECK: %[[EXPECTED:.*]] = arith.subi %[[SENT]], %c3_i64
  // CHECK: %[[ACTUAL:.*]] = llvm.load %[[CREDITS]] atomic acquire
  // Signed: the first slots were never anyone's.
  // CHECK: %[[EARLY:.*]] = arith.cmpi slt, %[[ACTUAL]], %[[EXPECTED]]
  // CHECK: cf.cond_br %[[EARLY]],
  // CHECK: llvm.call @fusco_program_wait(%[[ARGS]], %[[CREDITS]], %[[EXPECTED]], %{{.*}}, %c1_i32)
  // CHECK: %[[SLOT:.*]] = arith.remui %[[SENT]], %c4_i64
  // CHECK: %[[INDEX:.*]] = arith.index_cast %[[SLOT]]
  %slot = pipe.claim @rows[%c1] from %rank
  // CHECK: %[[UNITS:.*]] = arith.muli %[[RANK]], %c32_i64
  // CHECK: %[[BYTES:.*]] = arith.addi %[[UNITS]], %c64_i64
  // Lane 1 of the own ring, lane 2 of the peer's, each from its heap's base.
  // CHECK: arith.addi %[[INDEX]], %c8
  // CHECK: %[[TO:.*]] = arith.addi %{{.*}}, %c16384_i64
  // CHECK: arith.addi %[[INDEX]], %c4
  // CHECK: %[[OWN:.*]] = arith.addi %{{.*}}, %c16384_i64
  // CHECK: %[[FROM:.*]] = llvm.getelementptr %[[HEAP]][%[[OWN]]]
  // The counter: channel 4096, lane 2 * 384, the slot's line.
  // CHECK: %[[LINE:.*]] = arith.muli %{{.*}}, %c64_i64
  // CHECK: llvm.store %{{.*}}, %[[SENT_AT]]
  // CHECK: %[[COUNTER:.*]] = arith.addi %[[LINE]], %c4864_i64
  // CHECK: %[[RANK32:.*]] = arith.index_cast
  // CHECK: %[[PUT:.*]] = llvm.call @fusco_program_put(%[[ARGS]], %[[RANK32]], %[[TO]], %[[FROM]], %[[BYTES]], %[[COUNTER]])
  // CHECK: %[[FAILED:.*]] = arith.cmpi ne, %[[PUT]], %c0_i32
  // CHECK: cf.cond_br %[[FAILED]],
  // CHECK: cf.cond_br %{{.*}}, ^{{.*}}, ^[[EXIT:.*]](%[[PUT]] : i32)
  // CHECK-NOT: atomicrmw
  // CHECK: ^[[EXIT]](
  pipe.put @ring[%c1, %slot] to %rank @ring[%c2, %slot] bytes 64 plus %rank times 32 signal @rows[%c1, %c2]
  pipe.return
}

// CHECK-LABEL: func.func private @give_back.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr)
pipe.program @give_back(%n: memref<4xindex> {pipe.name = "n"}) {
  %rank = pipe.rank
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // What is held is the slot after those released.
  // CHECK: %[[RELEASED_AT:.*]] = llvm.getelementptr %{{.*}}[336]
  // CHECK: %[[RELEASED:.*]] = llvm.load %[[RELEASED_AT]]
  // CHECK: arith.remui %[[RELEASED]], %c4_i64
  %held = pipe.held @rows[%c1]
  memref.store %held, %n[%c1] : memref<4xindex>
  // A credit between nodes is a put of no bytes: 4096 + 2 * 384 + 256.
  // CHECK: llvm.store %{{.*}}, %[[RELEASED_AT]]
  // CHECK: llvm.call @fusco_program_put(%[[ARGS]], %{{.*}}, %c0_i64, %{{.*}}, %c0_i64, %c5120_i64)
  pipe.release @rows[%c1] to %rank[%c2]
  // Within one it is an addition.
  // CHECK: %[[PEER:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[PEER_CHANNEL:.*]] = llvm.getelementptr %[[PEER]][8192]
  // CHECK: %[[PEER_LANE:.*]] = llvm.getelementptr %[[PEER_CHANNEL]][768]
  // CHECK: %[[CREDITS:.*]] = llvm.getelementptr %[[PEER_LANE]][256]
  // CHECK: llvm.atomicrmw add %[[CREDITS]], %c1_i64 release
  pipe.release @copies[%c1] to %rank[%c2]
  // So is a signal, after which no more is said than what the slot's line counts.
  // CHECK: llvm.call @fusco_program_put(%[[ARGS]], %{{.*}}, %c0_i64, %{{.*}}, %c0_i64, %{{.*}})
  // CHECK-NOT: atomicrmw
  // CHECK: return
  pipe.signal @rows[%c1] to %rank[%c2]
  pipe.return
}

// Rows go to a place that is told by its window.
// CHECK-LABEL: func.func private @put_rows.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr)
pipe.program @put_rows(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %rank = pipe.rank
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // CHECK: %[[WINDOW_AT:.*]] = llvm.getelementptr %[[ARGS]][32]
  // CHECK: %[[WINDOW:.*]] = llvm.load %[[WINDOW_AT]]
  %window = pipe.status
  // CHECK: %[[BASE:.*]] = llvm.inttoptr
  // CHECK: %[[TO:.*]] = arith.addi %[[WINDOW]], %c32_i64
  // CHECK: %[[FROM:.*]] = llvm.getelementptr %[[BASE]][64]
  // CHECK: %[[BYTES:.*]] = arith.muli %{{.*}}, %c32_i64
  // CHECK: llvm.call @fusco_program_put(%[[ARGS]], %{{.*}}, %[[TO]], %[[FROM]], %[[BYTES]], %{{.*}})
  pipe.put_rows %x[%c2] to %rank at %window[%c1] count %rank signal @rows[%c1, %c2] : memref<?x16xbf16>
  pipe.return
}

// CHECK-LABEL: func.func private @fail.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr)
pipe.program @fail() {
  // CHECK: %[[STATUS_AT:.*]] = llvm.getelementptr %[[ARGS]][32]
  // CHECK: %[[STATUS:.*]] = llvm.load %[[STATUS_AT]]
  %status = pipe.status
  %zero = arith.constant 0 : i64
  %bad = arith.cmpi ne, %status, %zero : i64
  // The host's own status.
  // CHECK: %[[REFUSAL:.*]] = arith.trunci %[[STATUS]] : i64 to i32
  // CHECK: llvm.call @fusco_program_fail(%[[ARGS]], %[[REFUSAL]],
  pipe.fail_if %bad, refused (%zero, %zero, %zero)
  // CHECK: %[[FAILED:.*]] = llvm.call @fusco_program_fail(%[[ARGS]], %c3_i32, %c0_i64, %[[STATUS]], %c0_i64)
  // CHECK: cf.cond_br %{{.*}}, ^{{.*}}, ^[[EXIT:.*]](%[[FAILED]] : i32)
  pipe.fail_if %bad, capacity (%zero, %status, %zero)
  // CHECK: ^[[EXIT]](%[[RESULT:.*]]: i32):
  // CHECK: return %[[RESULT]]
  pipe.return
}

// -----

// expected-error@+1 {{'pipe.buffer' op expected an offset; run pipe-assign-memory first}}
pipe.buffer @somewhere : memref<4x8xi32> symmetric

// -----

// expected-error@+1 {{'pipe.channel' op expected an offset; run pipe-assign-memory first}}
pipe.channel @somewhere phase rows link scale_up lanes 4 depth 1 freed_by rounds
