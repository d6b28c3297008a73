// Memory becomes addresses, time becomes atomics and calls of the runtime.
// RUN: fusco-opt %s --pipe-programs-to-cpu --canonicalize --cse -split-input-file -verify-diagnostics \
// RUN:   | FileCheck %s

pipe.counter @arrived phase rows peers 4 at 256
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
  // A turn is the parity of the own signals taken: 256 for the counter, 64 for
  // the line of what was taken.
  // CHECK: %[[COUNTER:.*]] = llvm.getelementptr %[[HEAP]][256]
  // CHECK: %[[MINE:.*]] = llvm.getelementptr %[[COUNTER]][%{{.*}}]
  // CHECK: %[[TAKEN_AT:.*]] = llvm.getelementptr %[[MINE]][64]
  // CHECK: %[[TAKEN:.*]] = llvm.load %[[TAKEN_AT]]
  // CHECK: arith.andi %[[TAKEN]], %c1
  %turn = pipe.turn @arrived
  memref.store %turn, %n[%turn] : memref<4xindex>
  // CHECK: return %c0_i32
  pipe.return
}

// CHECK-LABEL: func.func private @time.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr)
pipe.program @time() {
  // CHECK: %[[STATUS_AT:.*]] = llvm.getelementptr %[[ARGS]][32]
  // CHECK: %[[STATUS:.*]] = llvm.load %[[STATUS_AT]]
  %rank = pipe.rank
  // CHECK: llvm.call_intrinsic "llvm.x86.sse.sfence"
  pipe.fence
  // CHECK: llvm.atomicrmw add %{{.*}}, %c1_i64 release : !llvm.ptr, i64
  pipe.signal @arrived to %rank
  // A wait looks first, and calls the runtime where that is not enough. What was
  // taken is written only afterwards.
  // CHECK: %[[TAKEN:.*]] = llvm.load %[[TAKEN_AT:.*]] : !llvm.ptr -> i64
  // CHECK: %[[EXPECTED:.*]] = arith.addi %[[TAKEN]], %c1_i64
  // CHECK: %[[ACTUAL:.*]] = llvm.load %[[COUNTER:.*]] atomic acquire {alignment = 8 : i64}
  // CHECK: %[[EARLY:.*]] = arith.cmpi ult, %[[ACTUAL]], %[[EXPECTED]]
  // CHECK: cf.cond_br %[[EARLY]], ^[[CALL:.*]], ^[[GO:[^ ]*]]
  // CHECK: ^[[CALL]]:
  // CHECK: %[[WAITED:.*]] = llvm.call @fusco_program_wait(%[[ARGS]], %[[COUNTER]], %[[EXPECTED]], %{{.*}}, %c1_i32)
  // CHECK: %[[OK:.*]] = arith.cmpi eq, %[[WAITED]], %c0_i32
  // CHECK: cf.cond_br %[[OK]], ^[[GO]], ^[[EXIT:.*]](%[[WAITED]] : i32)
  // CHECK: ^[[GO]]:
  // CHECK: llvm.store %[[EXPECTED]], %[[TAKEN_AT]]
  pipe.wait @arrived from %rank
  %status = pipe.status
  %zero = arith.constant 0 : i64
  %bad = arith.cmpi ne, %status, %zero : i64
  // The host's own status.
  // CHECK: %[[REFUSAL:.*]] = arith.trunci %[[STATUS]] : i64 to i32
  // CHECK: llvm.call @fusco_program_fail(%[[ARGS]], %[[REFUSAL]],
  pipe.fail_if %bad, refused (%zero, %zero, %zero)
  // CHECK: %[[FAILED:.*]] = llvm.call @fusco_program_fail(%[[ARGS]], %c3_i32, %c0_i64, %[[STATUS]], %c0_i64)
  // CHECK: cf.cond_br %{{.*}}, ^{{.*}}, ^[[EXIT]](%[[FAILED]] : i32)
  pipe.fail_if %bad, capacity (%zero, %status, %zero)
  // CHECK: ^[[EXIT]](%[[RESULT:.*]]: i32):
  // CHECK: return %[[RESULT]]
  pipe.return
}

// -----

// expected-error@+1 {{'pipe.buffer' op expected an offset; run pipe-assign-memory first}}
pipe.buffer @somewhere : memref<4x8xi32> symmetric

// -----

// expected-error@+1 {{'pipe.counter' op expected an offset; run pipe-assign-memory first}}
pipe.counter @somewhere phase rows peers 4
