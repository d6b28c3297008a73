// Marks on both targets. On a CPU they are calls, around a wait only where the
// first look does not suffice; on a GPU the block's first thread appends an event.
// RUN: fusco-opt %s --pipe-programs-to-cpu --canonicalize --cse | FileCheck %s
// RUN: fusco-opt %s --pipe-programs-to-cuda=threads-per-block=64 --canonicalize --cse | FileCheck %s --check-prefix=CUDA

// A library that is compiled without a timeline has no instruction of it, and none
// but what a timeline adds tells it apart: neither calls nor looks at the clock.
// RUN: fusco-import --name m --hidden 64 --experts 8 --topk 2 --nodes 2 --ranks-per-node 2 --max-tokens 64 -o %t.mlir
// RUN: fusco-compile %t.mlir --target cpu --emit obj -o %t.o
// RUN: llvm-nm %t.o | FileCheck %s --check-prefix=OFF
// OFF-NOT: fusco_program_mark
// RUN: fusco-compile %t.mlir --target cpu --timeline --emit obj -o %t.timed.o
// RUN: llvm-nm %t.timed.o | FileCheck %s --check-prefix=ON
// ON: U fusco_program_mark
// RUN: fusco-compile %t.mlir --target sm_90 --emit ptx -o - | FileCheck %s --check-prefix=NO-PTX
// NO-PTX-NOT: st.volatile.{{(global\.)?}}u16
// RUN: fusco-compile %t.mlir --target sm_90 --timeline --emit ptx -o - | FileCheck %s --check-prefix=PTX
// PTX: st.volatile.{{(global\.)?}}u16

module attributes {pipe.plan_bytes = 64 : i64} {
pipe.channel @rows phase rows link scale_out lanes 2 depth 2 freed_by rounds at 0
pipe.channel @silent phase rows link scale_up lanes 2 depth 2 freed_by rounds at 1024
pipe.buffer @ring : memref<2x2x64xi8> symmetric at 2048
pipe.span @call.p call "p"
pipe.span @stage.send stage "send"
pipe.span @put.rows put "rows" of @rows
pipe.span @wait.rows wait "rows" of @rows

// CHECK: llvm.func @fusco_program_mark(!llvm.ptr, i32, i32, i64){{$}}
// CHECK-LABEL: func.func private @p.program(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr)
// CUDA-LABEL: func.func @p(
// CUDA-SAME: %[[ARGS:.*]]: !llvm.ptr)
pipe.program @p() attributes {fills_plan} {
  %i = pipe.rank
  // CHECK-DAG: %[[C0:.*]] = arith.constant 0 : i32
  // CHECK-DAG: %[[C1:.*]] = arith.constant 1 : i32
  // CHECK-DAG: %[[C2:.*]] = arith.constant 2 : i32
  // CHECK-DAG: %[[C3:.*]] = arith.constant 3 : i32
  // CHECK-DAG: %[[NONE:.*]] = arith.constant 0 : i64
  // CHECK: llvm.call @fusco_program_mark(%[[ARGS]], %[[C0]], %[[C0]], %[[NONE]])
  // CUDA: llvm.call @fusco_begin(
  // CUDA: scf.if %[[IS_FIRST:.*]] {
  // CUDA-NEXT: llvm.call @fusco_mark(%[[ARGS]], %c0_i32, %c0_i32, %c0_i64)
  pipe.mark begin @call.p
  // CHECK: llvm.call @fusco_program_mark(%[[ARGS]], %[[C1]], %[[C0]], %[[RANK:.*]])
  // CUDA: scf.if %[[IS_FIRST]] {
  // CUDA-NEXT: llvm.call @fusco_mark(%[[ARGS]], %c1_i32, %c0_i32, %{{.*}})
  pipe.mark begin @stage.send chunk %i
  %slot = pipe.claim @rows[%i] from %i
  // Around a put, the peer and then the bytes.
  // CHECK: llvm.call @fusco_program_mark(%[[ARGS]], %[[C2]], %[[C0]], %[[RANK]])
  // CHECK: llvm.call @fusco_program_put(
  // CHECK: llvm.call @fusco_program_mark(%[[ARGS]], %[[C2]], %[[C1]], %{{.*}})
  pipe.put @ring[%i, %slot] to %i @ring[%i, %slot] bytes 64 plus %i times 0 signal @rows[%i, %i]
  // CUDA: llvm.call @fusco_mark(%[[ARGS]], %c2_i32, %c1_i32, %c64_i64)
  // CUDA: %[[LOOK:.*]] = llvm.inline_asm {{.*}} "ld.acquire.sys.b64
  // CUDA-NEXT: %[[EARLY:.*]] = arith.cmpi slt, %[[LOOK]],
  // CUDA-NEXT: scf.if %[[EARLY]]
  // CUDA-NEXT: llvm.call @fusco_mark(%[[ARGS]], %c3_i32, %c0_i32, %{{.*}})
  // CUDA-NEXT: llvm.call @fusco_wait(
  // CUDA-NEXT: llvm.call @fusco_mark(%[[ARGS]], %c3_i32, %c1_i32, %c0_i64)
  // All threads are there when a span ends.
  // CUDA:      llvm.store
  // CUDA:      nvvm.barrier0
  // CUDA-NEXT: nvvm.barrier0
  // CUDA-NEXT: scf.if %[[IS_FIRST]] {
  // CUDA-NEXT: llvm.call @fusco_mark(%[[ARGS]], %c1_i32, %c1_i32, %c0_i64)
  // CHECK: arith.cmpi slt
  // CHECK-NEXT: cf.cond_br %{{.*}}, ^[[WAIT:.*]], ^[[AFTER:.*]]
  // CHECK: ^[[WAIT]]:
  // CHECK-NEXT: llvm.call @fusco_program_mark(%[[ARGS]], %[[C3]], %[[C0]], %[[RANK]])
  // CHECK: %[[STATUS:.*]] = llvm.call @fusco_program_wait(
  // CHECK-NEXT: llvm.call @fusco_program_mark(%[[ARGS]], %[[C3]], %[[C1]], %[[NONE]])
  %taken = pipe.receive @rows[%i] from %i
  // CHECK: llvm.call @fusco_program_mark(%[[ARGS]], %[[C1]], %[[C1]], %[[NONE]])
  pipe.mark end @stage.send
  // A channel without spans.
  // CHECK-NOT: fusco_program_mark
  // CHECK: llvm.call @fusco_program_wait(
  // CHECK-NOT: fusco_program_mark
  pipe.signal @silent[%i] to %i[%i]
  %other = pipe.receive @silent[%i] from %i
  // CHECK: llvm.call @fusco_program_mark(%[[ARGS]], %[[C0]], %[[C1]], %[[NONE]])
  pipe.mark end @call.p
  pipe.return
}
}

// The event: time, value, span, block and which end; room is looked for first.
// CUDA-LABEL: llvm.func internal @fusco_mark(
// CUDA: icmp "ult"
// CUDA: mov.u64 $0, %globaltimer;
