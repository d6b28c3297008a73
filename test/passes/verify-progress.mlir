// Programs that go on, with what is proven of them; and those that may not, each
// refused at its place, with the reason.
// RUN: fusco-opt %s --pipe-verify-progress -split-input-file -verify-diagnostics | FileCheck %s

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

// The receiver is one chunk behind: two slots are enough.
// CHECK: module attributes {pipe.progress = [{channels = [@rows], program = "ring", waits = 2 : i64, workers = "one"}]}
pipe.channel @rows phase rows link scale_out lanes 2 depth 2 freed_by credit
pipe.program @ring(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %1 = arith.constant 1 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      scf.for %lane = %0 to %n step %1 {
        %slot = pipe.claim @rows[%lane] from %lane
        pipe.signal @rows[%lane] to %lane[%lane]
      }
    }
    pipe.stage "forward" lag 1 {
    ^bb0(%chunk: index):
      scf.for %lane = %0 to %n step %1 {
        %slot = pipe.receive @rows[%lane] from %lane
        pipe.release @rows[%lane] to %lane[%lane]
      }
    }
  }
  pipe.return
}

// -----

// One is not.
// expected-note@+1 {{a ring of at least 2 slots is needed, got 1}}
pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by credit
pipe.program @ring_too_small(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{expected every wait to be met, but chunk 1 of stage "send" waits here for a credit of @rows}}
      %slot = pipe.claim @rows[%0] from %0
      pipe.signal @rows[%0] to %0[%0]
    }
    pipe.stage "forward" lag 1 {
    ^bb0(%chunk: index):
      %slot = pipe.receive @rows[%0] from %0
      // expected-note@+1 {{chunk 0 of stage "forward" gives it here only after chunk 1 of stage "send"}}
      pipe.release @rows[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

// The credit of one ring waits for the credit of another.
// expected-note@+1 {{a ring of at least 3 slots is needed, got 2}}
pipe.channel @rows phase rows link scale_out lanes 1 depth 2 freed_by credit
pipe.channel @copies phase rows link scale_up lanes 1 depth 4 freed_by credit
pipe.program @two_rings(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{chunk 2 of stage "send" waits here for a credit of @rows}}
      %slot = pipe.claim @rows[%0] from %0
      pipe.signal @rows[%0] to %0[%0]
    }
    pipe.stage "forward" lag 1 {
    ^bb0(%chunk: index):
      %slot = pipe.claim @copies[%0] from %0
      pipe.signal @copies[%0] to %0[%0]
    }
    pipe.stage "duplicate" lag 2 {
    ^bb0(%chunk: index):
      %copies = pipe.receive @copies[%0] from %0
      pipe.release @copies[%0] to %0[%0]
      %slot = pipe.receive @rows[%0] from %0
      // expected-note@+1 {{chunk 0 of stage "duplicate" gives it here only after chunk 2 of stage "send"}}
      pipe.release @rows[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

// Two stages that wait for each other's chunk: slots do not help.
pipe.channel @there phase rows link scale_out lanes 1 depth 8 freed_by credit
// expected-note@+1 {{no number of slots would help}}
pipe.channel @back phase rows link scale_out lanes 1 depth 8 freed_by credit
pipe.program @circle(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "ask" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{chunk 0 of stage "ask" waits here for a slot of @back}}
      %answer = pipe.receive @back[%0] from %0
      pipe.release @back[%0] to %0[%0]
      %slot = pipe.claim @there[%0] from %0
      pipe.signal @there[%0] to %0[%0]
    }
    pipe.stage "answer" lag 0 {
    ^bb0(%chunk: index):
      %slot = pipe.receive @there[%0] from %0
      pipe.release @there[%0] to %0[%0]
      %answer = pipe.claim @back[%0] from %0
      // expected-note@+1 {{chunk 0 of stage "answer" gives it here only after chunk 0 of stage "ask"}}
      pipe.signal @back[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

// In a loop over lanes, ranks may wait for each other in a circle.
// expected-note@+1 {{no number of slots would help}}
pipe.channel @rows phase rows link scale_out lanes 4 depth 8 freed_by credit
pipe.program @lanes_in_turn(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %1 = arith.constant 1 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "exchange" lag 0 {
    ^bb0(%chunk: index):
      scf.for %lane = %0 to %n step %1 {
        %slot = pipe.claim @rows[%lane] from %lane
        // expected-note@+1 {{chunk 0 of stage "exchange" gives it here only after its own wait, in the same loop}}
        pipe.signal @rows[%lane] to %lane[%lane]
        // expected-error@+1 {{chunk 0 of stage "exchange" waits here for a slot of @rows}}
        %taken = pipe.receive @rows[%lane] from %lane
        pipe.release @rows[%lane] to %lane[%lane]
      }
    }
  }
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Ends
//===----------------------------------------------------------------------===//

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by rounds
pipe.program @no_sender() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{nobody sends on @rows in @no_sender; expected a 'pipe.signal', a 'pipe.put' or a 'pipe.put_rows'}}
  %slot = pipe.receive @rows[%0] from %0
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by rounds
pipe.program @no_receiver() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{nobody receives on @rows in @no_receiver; expected a 'pipe.receive'}}
  pipe.signal @rows[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by credit
pipe.program @no_release() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{missing credit: nobody releases @rows in @no_release; expected a 'pipe.release' after the 'pipe.receive'}}
  %slot = pipe.claim @rows[%0] from %0
  pipe.signal @rows[%0] to %0[%0]
  %taken = pipe.receive @rows[%0] from %0
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 2 freed_by credit
pipe.program @two_parts(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  // expected-note@+1 {{another one is here}}
  %slot = pipe.claim @rows[%0] from %0
  pipe.signal @rows[%0] to %0[%0]
  pipe.pipeline chunks %n {
    pipe.stage "take" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{expected all uses of @rows in one pipeline, or all outside}}
      %taken = pipe.receive @rows[%0] from %0
      pipe.release @rows[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by rounds
pipe.program @lane_twice() {
  %0 = arith.constant 0 : index
  // expected-note@+1 {{the first time is here}}
  pipe.signal @rows[%0] to %0[%0]
  // expected-error@+1 {{expected a lane once per chunk, got it twice}}
  pipe.signal @rows[%0] to %0[%0]
  %slot = pipe.receive @rows[%0] from %0
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by rounds
pipe.program @lane_in_a_loop() {
  %0 = arith.constant 0 : index
  %1 = arith.constant 1 : index
  %4 = arith.constant 4 : index
  pipe.signal @rows[%0] to %0[%0]
  // expected-note@+1 {{the loop is here}}
  scf.for %i = %0 to %4 step %1 {
    // expected-error@+1 {{expected a lane once per chunk, got the same one in a loop}}
    %slot = pipe.receive @rows[%0] from %0
  }
  pipe.return
}

// -----

// Either way once.
// CHECK: program = "lane_either_way", waits = 1
pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by rounds
pipe.program @lane_either_way() {
  %0 = arith.constant 0 : index
  %rank = pipe.rank
  %isFirst = arith.cmpi eq, %rank, %0 : index
  scf.if %isFirst {
    pipe.signal @rows[%0] to %0[%0]
  } else {
    pipe.signal @rows[%0] to %rank[%0]
  }
  %slot = pipe.receive @rows[%0] from %0
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Slots
//===----------------------------------------------------------------------===//

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by credit
pipe.program @not_claimed() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{expected a 'pipe.claim' of @rows before it in the same stage}}
  pipe.signal @rows[%0] to %0[%0]
  %slot = pipe.receive @rows[%0] from %0
  pipe.release @rows[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 1 freed_by credit
pipe.program @released_before_received() {
  %0 = arith.constant 0 : index
  %slot = pipe.claim @rows[%0] from %0
  pipe.signal @rows[%0] to %0[%0]
  // expected-error@+1 {{expected after the chunk's 'pipe.receive'}}
  pipe.release @rows[%0] to %0[%0]
  // expected-note@+1 {{which is here}}
  %taken = pipe.receive @rows[%0] from %0
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 2 freed_by credit
pipe.program @held_before_received() {
  %0 = arith.constant 0 : index
  %slot = pipe.claim @rows[%0] from %0
  pipe.signal @rows[%0] to %0[%0]
  // expected-error@+1 {{expected after the chunk's 'pipe.receive'}}
  %held = pipe.held @rows[%0]
  // expected-note@+1 {{which is here}}
  %taken = pipe.receive @rows[%0] from %0
  pipe.release @rows[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @rows phase rows link scale_out lanes 1 depth 2 freed_by credit
pipe.program @held_after_released() {
  %0 = arith.constant 0 : index
  %slot = pipe.claim @rows[%0] from %0
  pipe.signal @rows[%0] to %0[%0]
  %taken = pipe.receive @rows[%0] from %0
  // expected-error@+1 {{expected after the chunk's 'pipe.held'}}
  pipe.release @rows[%0] to %0[%0]
  // expected-note@+1 {{which is here}}
  %held = pipe.held @rows[%0]
  pipe.return
}

// -----

// pipe.held gives the first that was not released: that of the chunk before.
pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by credit
pipe.program @held_too_early(%x: memref<?x16xbf16> {pipe.name = "x"}) {
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
      %taken = pipe.receive @rows[%0] from %0
      // expected-error@+1 {{expected after the 'pipe.release' of the chunk before}}
      %held = pipe.held @rows[%0]
    }
    pipe.stage "give" lag 2 {
    ^bb0(%chunk: index):
      // expected-note@+1 {{which is here}}
      pipe.release @rows[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Rounds and starts
//===----------------------------------------------------------------------===//

// CHECK: program = "meeting", waits = 2
pipe.channel @meet phase rows link scale_up lanes 1 depth 1 freed_by rounds
pipe.channel @exchange phase plan link scale_out lanes 1 depth 2 freed_by rounds
pipe.program @meeting() {
  %0 = arith.constant 0 : index
  %slot = pipe.claim @exchange[%0] from %0
  pipe.signal @exchange[%0] to %0[%0]
  %taken = pipe.receive @exchange[%0] from %0
  pipe.signal @meet[%0] to %0[%0]
  %met = pipe.receive @meet[%0] from %0
  pipe.return
}

// -----

// Every rank waits before any sends.
// expected-note@+1 {{no number of slots would help}}
pipe.channel @meet phase rows link scale_up lanes 1 depth 1 freed_by rounds
pipe.program @wait_before_signal() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{expected every wait to be met, but every rank waits here for a slot of @meet}}
  %met = pipe.receive @meet[%0] from %0
  // expected-note@+1 {{every rank gives it here only after its own wait}}
  pipe.signal @meet[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @exchange phase plan link scale_out lanes 1 depth 1 freed_by rounds
pipe.program @one_round() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{expected at least 2 slots of @exchange, since a peer may be a round ahead, got 1}}
  %slot = pipe.claim @exchange[%0] from %0
  pipe.signal @exchange[%0] to %0[%0]
  %taken = pipe.receive @exchange[%0] from %0
  pipe.return
}

// -----

pipe.channel @meet phase rows link scale_up lanes 1 depth 1 freed_by rounds
pipe.program @rounds_in_a_pipeline(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "meet" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{expected @meet outside of pipelines, since rounds free its slots}}
      pipe.signal @meet[%0] to %0[%0]
      %met = pipe.receive @meet[%0] from %0
    }
  }
  pipe.return
}

// -----

// CHECK: program = "start", waits = 2
pipe.channel @exchange phase plan link scale_out lanes 1 depth 2 freed_by rounds
pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by start chunks 4
pipe.program @start(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.signal @exchange[%0] to %0[%0]
  %met = pipe.receive @exchange[%0] from %0
  pipe.pipeline chunks %n {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      %slot = pipe.claim @rows[%0] from %0
      pipe.signal @rows[%0] to %0[%0]
    }
    // As many chunks behind as it likes.
    pipe.stage "take" lag 100 {
    ^bb0(%chunk: index):
      %taken = pipe.receive @rows[%0] from %0
      pipe.release @rows[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

// Those of this node have met, but the channel reaches others.
pipe.channel @meet phase rows link scale_up lanes 1 depth 1 freed_by rounds
pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by start chunks 4
pipe.program @start_without_meeting() {
  %0 = arith.constant 0 : index
  pipe.signal @meet[%0] to %0[%0]
  %met = pipe.receive @meet[%0] from %0
  // expected-error@+1 {{expected all ranks to meet before, since the start frees the slots of @rows: a 'pipe.receive' on a channel that rounds free}}
  %slot = pipe.claim @rows[%0] from %0
  pipe.signal @rows[%0] to %0[%0]
  %taken = pipe.receive @rows[%0] from %0
  pipe.release @rows[%0] to %0[%0]
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Questions and answers
//===----------------------------------------------------------------------===//

// The answer is taken two chunks behind: three slots.
// CHECK: program = "conversation", waits = 2
pipe.channel @asks phase combine link scale_out lanes 1 depth 3 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 3 freed_by question
pipe.program @conversation(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "ask" lag 0 {
    ^bb0(%chunk: index):
      %ask = pipe.claim @asks[%0] from %0
      pipe.signal @asks[%0] to %0[%0]
    }
    pipe.stage "sum" lag 1 {
    ^bb0(%chunk: index):
      %asked = pipe.receive @asks[%0] from %0
      %sum = pipe.claim @sums[%0] from %0
      %held = pipe.held @asks[%0]
      pipe.signal @sums[%0] to %0[%0]
      pipe.release @asks[%0] to %0[%0]
    }
    pipe.stage "finish" lag 2 {
    ^bb0(%chunk: index):
      %summed = pipe.receive @sums[%0] from %0
      pipe.release @sums[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

pipe.channel @asks phase combine link scale_out lanes 1 depth 2 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 3 freed_by question
pipe.program @questions_too_many(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "ask" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{ring too small: expected at least 3 slots of @asks, got 2; the question of chunk c would overwrite that of chunk c - 2, whose answer is taken later}}
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

// The question is kept longer than its answer.
pipe.channel @asks phase combine link scale_out lanes 1 depth 1 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 1 freed_by question
pipe.program @question_kept(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    pipe.stage "all" lag 0 {
    ^bb0(%chunk: index):
      %ask = pipe.claim @asks[%0] from %0
      pipe.signal @asks[%0] to %0[%0]
      // expected-error@+1 {{expected at most 1 to be received and not released}}
      %asked = pipe.receive @asks[%0] from %0
      %sum = pipe.claim @sums[%0] from %0
      pipe.signal @sums[%0] to %0[%0]
      %summed = pipe.receive @sums[%0] from %0
      pipe.release @sums[%0] to %0[%0]
    }
    pipe.stage "later" lag 1 {
    ^bb0(%chunk: index):
      // expected-note@+1 {{which is here}}
      pipe.release @asks[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

pipe.channel @asks phase combine link scale_out lanes 1 depth 1 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 1 freed_by question
pipe.program @answer_before_question() {
  %0 = arith.constant 0 : index
  %ask = pipe.claim @asks[%0] from %0
  pipe.signal @asks[%0] to %0[%0]
  // expected-error@+1 {{expected after the 'pipe.receive' of the question}}
  %sum = pipe.claim @sums[%0] from %0
  pipe.signal @sums[%0] to %0[%0]
  // expected-note@+1 {{which is here}}
  %asked = pipe.receive @asks[%0] from %0
  pipe.release @asks[%0] to %0[%0]
  %summed = pipe.receive @sums[%0] from %0
  pipe.release @sums[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @asks phase combine link scale_out lanes 1 depth 1 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 1 freed_by question
pipe.program @question_read_late() {
  %0 = arith.constant 0 : index
  %ask = pipe.claim @asks[%0] from %0
  pipe.signal @asks[%0] to %0[%0]
  %asked = pipe.receive @asks[%0] from %0
  %sum = pipe.claim @sums[%0] from %0
  // expected-error@+1 {{expected after the last look at the question, whose slot it frees}}
  pipe.signal @sums[%0] to %0[%0]
  // expected-note@+1 {{which is here}}
  %held = pipe.held @asks[%0]
  pipe.release @asks[%0] to %0[%0]
  %summed = pipe.receive @sums[%0] from %0
  pipe.release @sums[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @asks phase combine link scale_out lanes 1 depth 1 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 1 freed_by question
pipe.program @no_answer() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{nobody answers on @sums in @no_answer}}
  %ask = pipe.claim @asks[%0] from %0
  pipe.signal @asks[%0] to %0[%0]
  %asked = pipe.receive @asks[%0] from %0
  pipe.release @asks[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @asks phase combine link scale_out lanes 1 depth 1 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 1 freed_by question
pipe.program @no_question() {
  %0 = arith.constant 0 : index
  // expected-error@+1 {{nobody asks on @asks in @no_question}}
  %sum = pipe.claim @sums[%0] from %0
  pipe.signal @sums[%0] to %0[%0]
  %summed = pipe.receive @sums[%0] from %0
  pipe.release @sums[%0] to %0[%0]
  pipe.return
}

// -----

// expected-error@+1 {{expected one channel whose answers it carries, got 0}}
pipe.channel @sums phase combine link scale_out lanes 1 depth 1 freed_by question
pipe.program @no_asking_channel() {
  %0 = arith.constant 0 : index
  %sum = pipe.claim @sums[%0] from %0
  pipe.signal @sums[%0] to %0[%0]
  %summed = pipe.receive @sums[%0] from %0
  pipe.release @sums[%0] to %0[%0]
  pipe.return
}

// -----

pipe.channel @asks phase combine link scale_out lanes 1 depth 1 freed_by answer @sums
pipe.channel @sums phase combine link scale_out lanes 1 depth 1 freed_by question
pipe.program @answer_elsewhere(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  // expected-note@+1 {{another one is here}}
  %ask = pipe.claim @asks[%0] from %0
  pipe.signal @asks[%0] to %0[%0]
  %asked = pipe.receive @asks[%0] from %0
  pipe.release @asks[%0] to %0[%0]
  pipe.pipeline chunks %n {
    pipe.stage "answer" lag 0 {
    ^bb0(%chunk: index):
      // expected-error@+1 {{expected all uses of @asks and of its answers in one pipeline, or all outside}}
      %sum = pipe.claim @sums[%0] from %0
      pipe.signal @sums[%0] to %0[%0]
      %summed = pipe.receive @sums[%0] from %0
      pipe.release @sums[%0] to %0[%0]
    }
  }
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Memory and control flow
//===----------------------------------------------------------------------===//

pipe.channel @exchange phase plan link scale_out lanes 1 depth 2 freed_by rounds
pipe.buffer @table : memref<2x8xi32> symmetric
pipe.program @put_too_long() {
  %0 = arith.constant 0 : index
  %slot = pipe.claim @exchange[%0] from %0
  // expected-error@+1 {{expected at most 32 bytes, a row of @table, got 36 and 0 times 0}}
  pipe.put @table[%slot] to %0 @table[%slot] bytes 36 plus %0 times 0 signal @exchange[%0, %0]
  %taken = pipe.receive @exchange[%0] from %0
  pipe.return
}

// -----

pipe.channel @exchange phase plan link scale_out lanes 1 depth 2 freed_by rounds
pipe.buffer @table : memref<2x8xi32> symmetric
pipe.program @put_too_many() {
  %0 = arith.constant 0 : index
  %4 = arith.constant 4 : index
  %slot = pipe.claim @exchange[%0] from %0
  // expected-error@+1 {{expected at most 32 bytes, a row of @table, got 16 and 4 times 5}}
  pipe.put @table[%slot] to %0 @table[%slot] bytes 16 plus %4 times 5 signal @exchange[%0, %0]
  %taken = pipe.receive @exchange[%0] from %0
  pipe.return
}

// -----

// CHECK: program = "put_fits", waits = 1
pipe.channel @exchange phase plan link scale_out lanes 1 depth 2 freed_by rounds
pipe.buffer @table : memref<2x8xi32> symmetric
pipe.program @put_fits() {
  %0 = arith.constant 0 : index
  %4 = arith.constant 4 : index
  %slot = pipe.claim @exchange[%0] from %0
  pipe.put @table[%slot] to %0 @table[%slot] bytes 16 plus %4 times 4 signal @exchange[%0, %0]
  %taken = pipe.receive @exchange[%0] from %0
  pipe.return
}

// -----

// expected-error@+1 {{expected structured control flow, got 2 blocks}}
pipe.program @blocks() {
  cf.br ^bb1
^bb1:
  pipe.return
}

// -----

// expected-error@+1 {{expected a depth below 2^31, got 2147483648}}
pipe.channel @deep phase rows link scale_out lanes 1 depth 2147483648 freed_by credit

// -----

pipe.program @far_behind(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %0 = arith.constant 0 : index
  %n = memref.dim %x, %0 : memref<?x16xbf16>
  pipe.pipeline chunks %n {
    // expected-error@+1 {{expected a lag below 2^31, got 2147483648}}
    pipe.stage "late" lag 2147483648 {
    ^bb0(%chunk: index):
    }
  }
  pipe.return
}

// -----

// No programs, nothing to prove.
// CHECK: module attributes {pipe.progress = []}
pipe.buffer @table : memref<2x8xi32> symmetric
