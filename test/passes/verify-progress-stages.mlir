// A worker for each stage: what a stage does is not ordered after another's, so
// that lags need no slots, and slots are free only where a credit says so.
// RUN: fusco-opt %s --pipe-verify-progress=workers=stages -split-input-file -verify-diagnostics | FileCheck %s

// One slot, whatever the lag.
// CHECK: module attributes {pipe.progress = [{channels = [@rows], program = "ring", waits = 2 : i64, workers = "stages"}]}
pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by credit
pipe.program @ring(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      %slot = pipe.claim @rows[%0] from %0
      pipe.signal @rows[%0] to %0[%0]
    }
    pipe.stage "forward" lag 5 {
    ^bb0(%chunk: index):
      %slot = pipe.receive @rows[%0] from %0
      pipe.release @rows[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

// Two stages whose first waits are for each other.
// expected-note@+1 {{no number of slots would help}}
pipe.channel @there phase rows link scale_out lanes 1 depth 8 freed_by credit
pipe.channel @back phase rows link scale_out lanes 1 depth 8 freed_by credit
pipe.program @circle(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "ask" lag 0 {
    ^bb0(%chunk: index):
      // expected-note@+1 {{chunk 0 of stage "ask" waits here for a slot of @back}}
      %answer = pipe.receive @back[%0] from %0
      pipe.release @back[%0] to %0[%0]
      %slot = pipe.claim @there[%0] from %0
      // expected-note@+1 {{chunk 0 of stage "ask" gives it here only after its own wait}}
      pipe.signal @there[%0] to %0[%0]
    }
    pipe.stage "answer" lag 1 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{chunk 0 of stage "answer" waits here for a slot of @there}}
      %slot = pipe.receive @there[%0] from %0
      pipe.release @there[%0] to %0[%0]
      %answer = pipe.claim @back[%0] from %0
      // expected-note@+1 {{chunk 0 of stage "answer" gives it here only after its own wait}}
      pipe.signal @back[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

// The asker takes answers by another worker, which nothing makes it wait for.
pipe.channel @asks phase combine link scale_out lanes 1 depth 8 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 8 freed_by question
pipe.program @answers_by_another(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "ask" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{missing credit: nothing says when a slot of @asks is free, since another worker takes the answers}}
      %ask = pipe.claim @asks[%0] from %0
      pipe.signal @asks[%0] to %0[%0]
    }
    pipe.stage "sum" lag 1 {
    ^bb0(%chunk: index):
      %asked = pipe.receive @asks[%0] from %0
      %sum = pipe.claim @sums[%0] from %0
      pipe.signal @sums[%0] to %0[%0]
      pipe.release @asks[%0] to %0[%0]
    }
    pipe.stage "finish" lag 2 {
    ^bb0(%chunk: index):
      %summed = pipe.receive @sums[%0] from %0
      // expected-note@+1 {{the answer is taken here}}
      pipe.release @sums[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 8 freed_by credit
pipe.program @held_by_another(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      %slot = pipe.claim @rows[%0] from %0
      pipe.signal @rows[%0] to %0[%0]
    }
    pipe.stage "take" lag 1 {
    ^bb0(%chunk: index):
      // expected-note@+1 {{which another worker does, here}}
      %taken = pipe.receive @rows[%0] from %0
    }
    pipe.stage "give" lag 2 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{expected after the chunk's 'pipe.receive'}}
      %held = pipe.held @rows[%0]
      pipe.release @rows[%0] to %0[%0]
    }
  }
  pipe.return
}
