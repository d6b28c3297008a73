//===- DeviceLibrary.cpp - Functions that kernels call --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See DeviceLibrary.h. Written in the LLVM dialect, with PTX for what LLVM 19
/// cannot select: accesses with an order and a scope. Structs are those of
/// runtime/include/fusco/library.h.
///
/// Blocks of a rank. The first one posts a team: its number and what it takes,
/// then `posted`, one more than before. Each other block waits for that, does
/// its part, and adds one to `arrived`. The first one waits for all of them.
/// The team -1 ends the kernel; then the counters are set to 0 again, so that
/// the kernel can be launched again without help, as in a CUDA Graph.
///
//===----------------------------------------------------------------------===//

#include "codegen/cuda/DeviceLibrary.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"

#include "fusco/library.h"

using namespace mlir;
using namespace fusco;

static_assert(offsetof(fusco_program_args, plan) == 16 &&
                  offsetof(fusco_program_args, rank) == 24 &&
                  offsetof(fusco_program_args, status) == 32 &&
                  offsetof(fusco_program_args, tensors) == 40 &&
                  FUSCO_MAX_TENSORS == 12 &&
                  offsetof(fusco_device_args, control) == 232 &&
                  offsetof(fusco_device_args, puts) == 272 &&
                  sizeof(fusco_device_args) == 280,
              "!args below is fusco_device_args");
static_assert(offsetof(fusco_device_control, failed) == 32 &&
                  offsetof(fusco_device_control, values) == 40 &&
                  offsetof(fusco_device_control, timelines) == 168 &&
                  offsetof(fusco_device_control, puts) == 176,
              "!control below is fusco_device_control");
static_assert(offsetof(fusco_device_error, isAborted) == 16 &&
                  offsetof(fusco_device_error, a) == 24 &&
                  sizeof(fusco_device_error) == 48,
              "!error below is fusco_device_error");
static_assert(offsetof(fusco_event, span) == 16 &&
                  offsetof(fusco_event, worker) == 20 &&
                  sizeof(fusco_event) == 24 &&
                  offsetof(fusco_timeline, events) == 16 &&
                  FUSCO_TIMELINE_EVENTS == 16384,
              "!timeline below is fusco_timeline");
static_assert(offsetof(fusco_put_request, counter) == 40 &&
                  sizeof(fusco_put_request) == 64 &&
                  offsetof(fusco_put_queue, requests) == 64 &&
                  FUSCO_PUT_QUEUE_DEPTH == 128,
              "!request and !queue below are fusco_put_request and "
              "fusco_put_queue");
static_assert(FUSCO_PEER_FAILED == 5 && FUSCO_TIMEOUT == 4, "used below");

static constexpr llvm::StringLiteral source = R"mlir(
!args = !llvm.struct<(ptr, ptr, ptr, i64, i64, array<12 x struct<(ptr, i64)>>, ptr, ptr, ptr, i64, ptr, ptr)>
!control = !llvm.struct<(i64, i64, i64, i64, i64, array<16 x i64>, ptr, i64)>
!request = !llvm.struct<(i64, i64, i64, i64, i64, i64, array<2 x i64>)>
!queue = !llvm.struct<(i64, array<7 x i64>, array<128 x struct<(i64, i64, i64, i64, i64, i64, array<2 x i64>)>>)>
!error = !llvm.struct<(i32, i32, i32, i32, i32, i32, i64, i64, i64)>
!event = !llvm.struct<(i64, i64, i32, i16, i16)>
!timeline = !llvm.struct<(i64, i64, array<16384 x struct<(i64, i64, i32, i16, i16)>>)>

// Records an error of this rank, the first one only: its status in the control,
// all of it where the host sees it, unless one is there that the host has not
// taken, or the host itself refused the call.
llvm.func internal @fusco_fail(%args: !llvm.ptr, %program: i32, %status: i32, %channel: i32, %peer: i32,
                               %aborted: i32, %a: i64, %b: i64, %c: i64) attributes {passthrough = ["alwaysinline"]} {
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %failed = llvm.getelementptr %control[0, 4] : (!llvm.ptr) -> !llvm.ptr, !control
  %wide = llvm.sext %status : i32 to i64
  %old = llvm.inline_asm has_side_effects asm_dialect = att "atom.relaxed.gpu.cas.b64 $0, [$1], 0, $2;", "=l,l,l,~{memory}" %failed, %wide : (!llvm.ptr, i64) -> i64
  %refusalField = llvm.getelementptr %args[0, 4] : (!llvm.ptr) -> !llvm.ptr, !args
  %refusal = llvm.load %refusalField : !llvm.ptr -> i64
  %errorField = llvm.getelementptr %args[0, 7] : (!llvm.ptr) -> !llvm.ptr, !args
  %error = llvm.load %errorField : !llvm.ptr -> !llvm.ptr
  %present = llvm.load volatile %error : !llvm.ptr -> i32
  %present64 = llvm.sext %present : i32 to i64
  %zero = llvm.mlir.constant(0 : i64) : i64
  %some = llvm.or %old, %refusal : i64
  %any = llvm.or %some, %present64 : i64
  %isFirst = llvm.icmp "eq" %any, %zero : i64
  llvm.cond_br %isFirst, ^record, ^done
^record:
  %1 = llvm.getelementptr %error[0, 1] : (!llvm.ptr) -> !llvm.ptr, !error
  llvm.store volatile %program, %1 : i32, !llvm.ptr
  %2 = llvm.getelementptr %error[0, 2] : (!llvm.ptr) -> !llvm.ptr, !error
  llvm.store volatile %channel, %2 : i32, !llvm.ptr
  %3 = llvm.getelementptr %error[0, 3] : (!llvm.ptr) -> !llvm.ptr, !error
  llvm.store volatile %peer, %3 : i32, !llvm.ptr
  %4 = llvm.getelementptr %error[0, 4] : (!llvm.ptr) -> !llvm.ptr, !error
  llvm.store volatile %aborted, %4 : i32, !llvm.ptr
  %5 = llvm.getelementptr %error[0, 6] : (!llvm.ptr) -> !llvm.ptr, !error
  llvm.store volatile %a, %5 : i64, !llvm.ptr
  %6 = llvm.getelementptr %error[0, 7] : (!llvm.ptr) -> !llvm.ptr, !error
  llvm.store volatile %b, %6 : i64, !llvm.ptr
  %7 = llvm.getelementptr %error[0, 8] : (!llvm.ptr) -> !llvm.ptr, !error
  llvm.store volatile %c, %7 : i64, !llvm.ptr
  llvm.inline_asm has_side_effects asm_dialect = att "st.release.sys.b32 [$0], $1;", "l,r,~{memory}" %error, %status : (!llvm.ptr, i32) -> ()
  llvm.br ^done
^done:
  llvm.return
}

// Waits until the counter is at least `expected` (signed: a slot that was never
// sent is expected before any credit), for the context's timeout at most. Ends
// early where another block of this rank failed or another rank timed out.
llvm.func internal @fusco_wait(%args: !llvm.ptr, %counter: !llvm.ptr, %expected: i64, %peer: i32, %channel: i32,
                               %program: i32) -> i32 attributes {passthrough = ["alwaysinline"]} {
  %zero = llvm.mlir.constant(0 : i64) : i64
  %ok = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i64) : i64
  %start = llvm.inline_asm has_side_effects asm_dialect = att "mov.u64 $0, %globaltimer;", "=l" : () -> i64
  %timeoutField = llvm.getelementptr %args[0, 9] : (!llvm.ptr) -> !llvm.ptr, !args
  %timeout = llvm.load %timeoutField : !llvm.ptr -> i64
  %rankField = llvm.getelementptr %args[0, 3] : (!llvm.ptr) -> !llvm.ptr, !args
  %rank = llvm.load %rankField : !llvm.ptr -> i64
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %ownFailure = llvm.getelementptr %control[0, 4] : (!llvm.ptr) -> !llvm.ptr, !control
  %failedRankField = llvm.getelementptr %args[0, 8] : (!llvm.ptr) -> !llvm.ptr, !args
  %failedRank = llvm.load %failedRankField : !llvm.ptr -> !llvm.ptr
  llvm.br ^look
^look:
  // The clock before the counter: a peer that arrived in time is never missed.
  %now = llvm.inline_asm has_side_effects asm_dialect = att "mov.u64 $0, %globaltimer;", "=l" : () -> i64
  %actual = llvm.inline_asm has_side_effects asm_dialect = att "ld.acquire.sys.b64 $0, [$1];", "=l,l,~{memory}" %counter : (!llvm.ptr) -> i64
  %isThere = llvm.icmp "sge" %actual, %expected : i64
  llvm.cond_br %isThere, ^done(%ok : i32), ^others
^others:
  %own = llvm.inline_asm has_side_effects asm_dialect = att "ld.relaxed.gpu.b64 $0, [$1];", "=l,l,~{memory}" %ownFailure : (!llvm.ptr) -> i64
  %hasOwn = llvm.icmp "ne" %own, %zero : i64
  %own32 = llvm.trunc %own : i64 to i32
  llvm.cond_br %hasOwn, ^done(%own32 : i32), ^ranks
^ranks:
  %other = llvm.inline_asm has_side_effects asm_dialect = att "ld.relaxed.sys.b64 $0, [$1];", "=l,l,~{memory}" %failedRank : (!llvm.ptr) -> i64
  %hasOther = llvm.icmp "ne" %other, %zero : i64
  llvm.cond_br %hasOther, ^abort, ^clock
^clock:
  %elapsed = llvm.sub %now, %start : i64
  %isLate = llvm.icmp "uge" %elapsed, %timeout : i64
  llvm.cond_br %isLate, ^expire, ^again
^again:
  llvm.inline_asm has_side_effects asm_dialect = att "nanosleep.u32 64;", "" : () -> ()
  llvm.br ^look
^abort:
  %index = llvm.sub %other, %one : i64
  %failedPeer = llvm.trunc %index : i64 to i32
  %peerFailed = llvm.mlir.constant(5 : i32) : i32
  %isAborted = llvm.mlir.constant(1 : i32) : i32
  %waitedFor = llvm.sext %peer : i32 to i64
  llvm.call @fusco_fail(%args, %program, %peerFailed, %channel, %failedPeer, %isAborted, %actual, %expected, %waitedFor) : (!llvm.ptr, i32, i32, i32, i32, i32, i64, i64, i64) -> ()
  llvm.br ^done(%peerFailed : i32)
^expire:
  %timedOut = llvm.mlir.constant(4 : i32) : i32
  llvm.call @fusco_fail(%args, %program, %timedOut, %channel, %peer, %ok, %actual, %expected, %zero) : (!llvm.ptr, i32, i32, i32, i32, i32, i64, i64, i64) -> ()
  %self = llvm.add %rank, %one : i64
  %before = llvm.inline_asm has_side_effects asm_dialect = att "atom.relaxed.sys.cas.b64 $0, [$1], 0, $2;", "=l,l,l,~{memory}" %failedRank, %self : (!llvm.ptr, i64) -> i64
  llvm.br ^done(%timedOut : i32)
^done(%status: i32):
  llvm.return %status : i32
}

// Asks the host for a put, after what was written before. Where the queue stays
// full for the context's timeout that is an error like any other wait's, with the
// requests that the host has taken as the count, and nothing is asked: the next
// wait of the block ends at once.
llvm.func internal @fusco_put(%args: !llvm.ptr, %peer: i32, %to: i64, %from: i64, %bytes: i64, %counter: i64,
                              %channel: i32, %program: i32) attributes {passthrough = ["alwaysinline"]} {
  %zero = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i64) : i64
  %depth = llvm.mlir.constant(128 : i64) : i64
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %puts = llvm.getelementptr %control[0, 7] : (!llvm.ptr) -> !llvm.ptr, !control
  %before = llvm.inline_asm has_side_effects asm_dialect = att "atom.relaxed.gpu.add.u64 $0, [$1], 1;", "=l,l,~{memory}" %puts : (!llvm.ptr) -> i64
  %number = llvm.add %before, %one : i64
  %queueField = llvm.getelementptr %args[0, 11] : (!llvm.ptr) -> !llvm.ptr, !args
  %queue = llvm.load %queueField : !llvm.ptr -> !llvm.ptr
  %expected = llvm.sub %number, %depth : i64
  %status = llvm.call @fusco_wait(%args, %queue, %expected, %peer, %channel, %program) : (!llvm.ptr, !llvm.ptr, i64, i32, i32, i32) -> i32
  %hasRoom = llvm.icmp "eq" %status, %zero : i32
  llvm.cond_br %hasRoom, ^ask, ^done
^ask:
  %place = llvm.urem %before, %depth : i64
  %request = llvm.getelementptr %queue[0, 2, %place] : (!llvm.ptr, i64) -> !llvm.ptr, !queue
  %peer64 = llvm.sext %peer : i32 to i64
  %1 = llvm.getelementptr %request[0, 1] : (!llvm.ptr) -> !llvm.ptr, !request
  llvm.store volatile %peer64, %1 : i64, !llvm.ptr
  %2 = llvm.getelementptr %request[0, 2] : (!llvm.ptr) -> !llvm.ptr, !request
  llvm.store volatile %to, %2 : i64, !llvm.ptr
  %3 = llvm.getelementptr %request[0, 3] : (!llvm.ptr) -> !llvm.ptr, !request
  llvm.store volatile %from, %3 : i64, !llvm.ptr
  %4 = llvm.getelementptr %request[0, 4] : (!llvm.ptr) -> !llvm.ptr, !request
  llvm.store volatile %bytes, %4 : i64, !llvm.ptr
  %5 = llvm.getelementptr %request[0, 5] : (!llvm.ptr) -> !llvm.ptr, !request
  llvm.store volatile %counter, %5 : i64, !llvm.ptr
  llvm.inline_asm has_side_effects asm_dialect = att "st.release.sys.b64 [$0], $1;", "l,l,~{memory}" %request, %number : (!llvm.ptr, i64) -> ()
  llvm.br ^done
^done:
  llvm.return
}

// The first block starts. `trailer` is the plan's where the program fills it,
// else null. A rank that comes after another timed out must not write to peers
// that have left: channel -1.
llvm.func internal @fusco_begin(%args: !llvm.ptr, %program: i32, %trailer: !llvm.ptr) -> i32 attributes {passthrough = ["alwaysinline"]} {
  %zero = llvm.mlir.constant(0 : i64) : i64
  %ok = llvm.mlir.constant(0 : i32) : i32
  %null = llvm.mlir.zero : !llvm.ptr
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %failed = llvm.getelementptr %control[0, 4] : (!llvm.ptr) -> !llvm.ptr, !control
  llvm.store volatile %zero, %failed : i64, !llvm.ptr
  %hasTrailer = llvm.icmp "ne" %trailer, %null : !llvm.ptr
  llvm.cond_br %hasTrailer, ^empty, ^look
^empty:
  llvm.store volatile %zero, %trailer : i64, !llvm.ptr
  llvm.br ^look
^look:
  %failedRankField = llvm.getelementptr %args[0, 8] : (!llvm.ptr) -> !llvm.ptr, !args
  %failedRank = llvm.load %failedRankField : !llvm.ptr -> !llvm.ptr
  %other = llvm.inline_asm has_side_effects asm_dialect = att "ld.relaxed.sys.b64 $0, [$1];", "=l,l,~{memory}" %failedRank : (!llvm.ptr) -> i64
  %hasOther = llvm.icmp "ne" %other, %zero : i64
  llvm.cond_br %hasOther, ^late, ^done(%ok : i32)
^late:
  %one = llvm.mlir.constant(1 : i64) : i64
  %index = llvm.sub %other, %one : i64
  %peer = llvm.trunc %index : i64 to i32
  %peerFailed = llvm.mlir.constant(5 : i32) : i32
  %isAborted = llvm.mlir.constant(1 : i32) : i32
  %before = llvm.mlir.constant(-1 : i32) : i32
  llvm.call @fusco_fail(%args, %program, %peerFailed, %before, %peer, %isAborted, %zero, %zero, %zero) : (!llvm.ptr, i32, i32, i32, i32, i32, i64, i64, i64) -> ()
  llvm.br ^done(%peerFailed : i32)
^done(%status: i32):
  llvm.return %status : i32
}

// Starts the team of that number, whose values are in the control.
llvm.func internal @fusco_fork(%args: !llvm.ptr, %team: i64) attributes {passthrough = ["alwaysinline"]} {
  %one = llvm.mlir.constant(1 : i64) : i64
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %number = llvm.getelementptr %control[0, 3] : (!llvm.ptr) -> !llvm.ptr, !control
  llvm.store volatile %team, %number : i64, !llvm.ptr
  %posted = llvm.load volatile %control : !llvm.ptr -> i64
  %next = llvm.add %posted, %one : i64
  llvm.inline_asm has_side_effects asm_dialect = att "st.release.gpu.b64 [$0], $1;", "l,l,~{memory}" %control, %next : (!llvm.ptr, i64) -> ()
  llvm.return
}

// Waits until all other blocks have come to the end of the team that was started
// last. What they do is bounded in time, so this is. Returns whether it failed.
llvm.func internal @fusco_join(%args: !llvm.ptr) -> i32 attributes {passthrough = ["alwaysinline"]} {
  %one = llvm.mlir.constant(1 : i64) : i64
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %arrived = llvm.getelementptr %control[0, 1] : (!llvm.ptr) -> !llvm.ptr, !control
  %failed = llvm.getelementptr %control[0, 4] : (!llvm.ptr) -> !llvm.ptr, !control
  %posted = llvm.load volatile %control : !llvm.ptr -> i64
  %blocks = llvm.inline_asm asm_dialect = att "mov.u32 $0, %nctaid.x;", "=r" : () -> i32
  %blocks64 = llvm.zext %blocks : i32 to i64
  %others = llvm.sub %blocks64, %one : i64
  %expected = llvm.mul %posted, %others : i64
  llvm.br ^look
^look:
  %actual = llvm.inline_asm has_side_effects asm_dialect = att "ld.acquire.gpu.b64 $0, [$1];", "=l,l,~{memory}" %arrived : (!llvm.ptr) -> i64
  %isThere = llvm.icmp "uge" %actual, %expected : i64
  llvm.cond_br %isThere, ^done, ^again
^again:
  llvm.inline_asm has_side_effects asm_dialect = att "nanosleep.u32 32;", "" : () -> ()
  llvm.br ^look
^done:
  %status = llvm.load volatile %failed : !llvm.ptr -> i64
  %status32 = llvm.trunc %status : i64 to i32
  llvm.return %status32 : i32
}

// The first block ends the kernel. `trailer` is the plan's where it is filled
// now, else null.
llvm.func internal @fusco_end(%args: !llvm.ptr, %trailer: !llvm.ptr) attributes {passthrough = ["alwaysinline"]} {
  %zero = llvm.mlir.constant(0 : i64) : i64
  %one = llvm.mlir.constant(1 : i64) : i64
  %none = llvm.mlir.constant(-1 : i64) : i64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @fusco_fork(%args, %none) : (!llvm.ptr, i64) -> ()
  %status = llvm.call @fusco_join(%args) : (!llvm.ptr) -> i32
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %arrived = llvm.getelementptr %control[0, 1] : (!llvm.ptr) -> !llvm.ptr, !control
  %met = llvm.getelementptr %control[0, 2] : (!llvm.ptr) -> !llvm.ptr, !control
  llvm.store volatile %zero, %control : i64, !llvm.ptr
  llvm.store volatile %zero, %arrived : i64, !llvm.ptr
  llvm.store volatile %zero, %met : i64, !llvm.ptr
  %hasTrailer = llvm.icmp "ne" %trailer, %null : !llvm.ptr
  llvm.cond_br %hasTrailer, ^fill, ^done
^fill:
  llvm.store volatile %one, %trailer : i64, !llvm.ptr
  llvm.br ^done
^done:
  llvm.return
}

// Another block waits for the team of that number in the order of time, from 1.
// The first block's waits are bounded in time, so this is.
llvm.func internal @fusco_await(%args: !llvm.ptr, %number: i64) attributes {passthrough = ["alwaysinline"]} {
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  llvm.br ^look
^look:
  %posted = llvm.inline_asm has_side_effects asm_dialect = att "ld.acquire.gpu.b64 $0, [$1];", "=l,l,~{memory}" %control : (!llvm.ptr) -> i64
  %isThere = llvm.icmp "uge" %posted, %number : i64
  llvm.cond_br %isThere, ^done, ^again
^again:
  llvm.inline_asm has_side_effects asm_dialect = att "nanosleep.u32 32;", "" : () -> ()
  llvm.br ^look
^done:
  llvm.return
}

// And has done its part.
llvm.func internal @fusco_arrive(%args: !llvm.ptr) attributes {passthrough = ["alwaysinline"]} {
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %arrived = llvm.getelementptr %control[0, 1] : (!llvm.ptr) -> !llvm.ptr, !control
  llvm.inline_asm has_side_effects asm_dialect = att "red.release.gpu.add.u64 [$0], 1;", "l,~{memory}" %arrived : (!llvm.ptr) -> ()
  llvm.return
}

// Appends to the block's timeline.
llvm.func internal @fusco_mark(%args: !llvm.ptr, %span: i32, %isEnd: i32, %value: i64) attributes {passthrough = ["alwaysinline"]} {
  %one = llvm.mlir.constant(1 : i64) : i64
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %timelinesField = llvm.getelementptr %control[0, 6] : (!llvm.ptr) -> !llvm.ptr, !control
  %timelines = llvm.load %timelinesField : !llvm.ptr -> !llvm.ptr
  %block = nvvm.read.ptx.sreg.ctaid.x : i32
  %worker = llvm.trunc %block : i32 to i16
  %timeline = llvm.getelementptr %timelines[%block] : (!llvm.ptr, i32) -> !llvm.ptr, !timeline
  %number = llvm.load volatile %timeline : !llvm.ptr -> i64
  %room = llvm.mlir.constant(16384 : i64) : i64
  %hasRoom = llvm.icmp "ult" %number, %room : i64
  llvm.cond_br %hasRoom, ^append, ^drop
^append:
  %now = llvm.inline_asm has_side_effects asm_dialect = att "mov.u64 $0, %globaltimer;", "=l,~{memory}" : () -> i64
  %event = llvm.getelementptr %timeline[0, 2, %number] : (!llvm.ptr, i64) -> !llvm.ptr, !timeline
  llvm.store volatile %now, %event : i64, !llvm.ptr
  %1 = llvm.getelementptr %event[0, 1] : (!llvm.ptr) -> !llvm.ptr, !event
  llvm.store volatile %value, %1 : i64, !llvm.ptr
  %2 = llvm.getelementptr %event[0, 2] : (!llvm.ptr) -> !llvm.ptr, !event
  llvm.store volatile %span, %2 : i32, !llvm.ptr
  %3 = llvm.getelementptr %event[0, 3] : (!llvm.ptr) -> !llvm.ptr, !event
  llvm.store volatile %worker, %3 : i16, !llvm.ptr
  %4 = llvm.getelementptr %event[0, 4] : (!llvm.ptr) -> !llvm.ptr, !event
  %end = llvm.trunc %isEnd : i32 to i16
  llvm.store volatile %end, %4 : i16, !llvm.ptr
  %next = llvm.add %number, %one : i64
  llvm.store volatile %next, %timeline : i64, !llvm.ptr
  llvm.br ^done
^drop:
  %droppedField = llvm.getelementptr %timeline[0, 1] : (!llvm.ptr) -> !llvm.ptr, !timeline
  %dropped = llvm.load volatile %droppedField : !llvm.ptr -> i64
  %more = llvm.add %dropped, %one : i64
  llvm.store volatile %more, %droppedField : i64, !llvm.ptr
  llvm.br ^done
^done:
  llvm.return
}

// All threads of all blocks of the rank. The counter goes on from one meeting to
// the next.
llvm.func internal @fusco_meet(%args: !llvm.ptr) attributes {passthrough = ["alwaysinline"]} {
  %one = llvm.mlir.constant(1 : i64) : i64
  nvvm.barrier0
  %thread = nvvm.read.ptx.sreg.tid.x : i32
  %first = llvm.mlir.constant(0 : i32) : i32
  %isFirst = llvm.icmp "eq" %thread, %first : i32
  llvm.cond_br %isFirst, ^count, ^done
^count:
  %controlField = llvm.getelementptr %args[0, 6] : (!llvm.ptr) -> !llvm.ptr, !args
  %control = llvm.load %controlField : !llvm.ptr -> !llvm.ptr
  %met = llvm.getelementptr %control[0, 2] : (!llvm.ptr) -> !llvm.ptr, !control
  %blocks = nvvm.read.ptx.sreg.nctaid.x : i32
  %blocks64 = llvm.zext %blocks : i32 to i64
  %before = llvm.inline_asm has_side_effects asm_dialect = att "atom.acq_rel.gpu.add.u64 $0, [$1], 1;", "=l,l,~{memory}" %met : (!llvm.ptr) -> i64
  %round = llvm.udiv %before, %blocks64 : i64
  %next = llvm.add %round, %one : i64
  %expected = llvm.mul %next, %blocks64 : i64
  llvm.br ^look
^look:
  %actual = llvm.inline_asm has_side_effects asm_dialect = att "ld.acquire.gpu.b64 $0, [$1];", "=l,l,~{memory}" %met : (!llvm.ptr) -> i64
  %isThere = llvm.icmp "uge" %actual, %expected : i64
  llvm.cond_br %isThere, ^done, ^look
^done:
  nvvm.barrier0
  llvm.return
}
)mlir";

static StringRef getSymbol(DeviceCall call) {
  switch (call) {
  case DeviceCall::Begin:
    return "fusco_begin";
  case DeviceCall::End:
    return "fusco_end";
  case DeviceCall::Fork:
    return "fusco_fork";
  case DeviceCall::Join:
    return "fusco_join";
  case DeviceCall::Await:
    return "fusco_await";
  case DeviceCall::Arrive:
    return "fusco_arrive";
  case DeviceCall::Wait:
    return "fusco_wait";
  case DeviceCall::Put:
    return "fusco_put";
  case DeviceCall::Fail:
    return "fusco_fail";
  case DeviceCall::Mark:
    return "fusco_mark";
  case DeviceCall::Meet:
    return "fusco_meet";
  }
  llvm_unreachable("every call has a symbol");
}

void fusco::insertDeviceLibrary(ModuleOp module) {
  OwningOpRef<ModuleOp> parsed = parseSourceString<ModuleOp>(
      source, module.getContext(), "device library");
  if (!parsed)
    llvm::report_fatal_error("the device library does not parse");
  for (Operation &function : llvm::make_early_inc_range(parsed->getOps())) {
    function.remove();
    module.push_back(&function);
  }
}

Value fusco::callDevice(ImplicitLocOpBuilder &b, ModuleOp module,
                        DeviceCall call, ValueRange operands) {
  auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(getSymbol(call));
  auto called = b.create<LLVM::CallOp>(function, operands);
  return called.getNumResults() ? called.getResult() : Value();
}
