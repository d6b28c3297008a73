// Programs, steps and stages are bracketed; waits and puts have spans alone.
// RUN: split-file %s %t
// RUN: fusco-opt %t/program.mlir --pipe-add-timeline | FileCheck %s
// RUN: not fusco-opt %t/blocks.mlir --pipe-add-timeline 2>&1 | FileCheck %s --check-prefix=BLOCKS
// BLOCKS: 'pipe.program' op expected structured control flow, got 2 blocks

// In the lowering of a model: without `timeline` nothing of it.
// RUN: fusco-import --name m --hidden 64 --experts 8 --topk 2 --nodes 2 --ranks-per-node 2 --max-tokens 64 -o %t/m.mlir
// RUN: fusco-opt %t/m.mlir --fusco-pipe-pipeline | FileCheck %s --check-prefix=OFF
// OFF-NOT: pipe.{{span|mark|step}}
// RUN: fusco-opt %t/m.mlir --fusco-pipe-pipeline="timeline=true unique=rank forwarders=balanced baseline=true" | FileCheck %s --check-prefix=ON
// What is proven is proven of programs with marks, which keep their channels.
// ON: pipe.progress = [{channels = [@counts_exchanged
// ON-DAG: pipe.span @call.dispatch call "dispatch"
// ON-DAG: pipe.span @call.dispatch.unfused call "dispatch.unfused"
// ON-DAG: pipe.span @stage.duplicate stage "duplicate"
// ON-DAG: pipe.span @wait.rows_out wait "rows_out" of @rows_out
// ON-DAG: pipe.span @put.rows_out put "rows_out" of @rows_out
// ON-LABEL: pipe.program @dispatch(
// ON:      pipe.mark begin @call.dispatch
// ON:      pipe.mark begin @step.count
// ON:      pipe.histogram
// ON:      pipe.mark end @step.count
// ON-NEXT: pipe.mark begin @step.exchange
// ON:      pipe.receive @counts_exchanged
// ON:      pipe.mark begin @step.place
// ON:      pipe.place
// ON:      pipe.mark begin @step.assign
// ON:      pipe.assign
// ON:      pipe.mark begin @step.forwarders
// ON:      pipe.mark begin @step.move
// ON:      pipe.pipeline
// ON:      pipe.mark begin @stage.send chunk
// ON:      pipe.mark begin @stage.gather chunk
// ON:      pipe.mark begin @stage.forward chunk
// ON:      pipe.mark begin @stage.duplicate chunk
// ON:      pipe.mark end @stage.duplicate
// ON:      pipe.mark end @step.move
// ON-NEXT: pipe.mark begin @step.segments
// ON:      pipe.mark end @step.segments
// ON-NEXT: pipe.mark begin @step.meet
// ON:      pipe.receive @rows_done
// ON:      pipe.mark end @step.meet
// ON-NEXT: pipe.mark end @call.dispatch
// ON-NEXT: pipe.return
// ON-LABEL: pipe.program @dispatch.unfused(
// ON:      pipe.mark begin @step.permute
// ON:      pipe.mark begin @step.all_to_all
// ON:      pipe.mark begin @step.permute
// ON:      pipe.mark begin @step.segments
// ON-LABEL: pipe.program @combine(
// ON:      pipe.mark begin @step.exchange
// ON:      pipe.mark begin @step.move
// ON:      pipe.mark begin @stage.ask chunk
// ON:      pipe.mark begin @stage.gather chunk
// ON:      pipe.mark begin @stage.relay chunk
// ON:      pipe.mark begin @stage.partial chunk
// ON:      pipe.mark begin @stage.sum chunk
// ON:      pipe.mark begin @stage.settle chunk
// ON:      pipe.mark begin @stage.finish chunk
// ON:      pipe.mark begin @step.meet
// ON-LABEL: pipe.program @combine.unfused(
// ON:      pipe.mark begin @step.unpermute
// ON:      pipe.mark begin @step.all_to_all
// ON:      pipe.mark begin @step.unpermute
// ON-NOT:  pipe.step

//--- program.mlir
// CHECK:      pipe.channel @rows
pipe.channel @rows phase rows link scale_out lanes 2 depth 2 freed_by credit
pipe.channel @met phase rows link scale_up lanes 2 depth 2 freed_by rounds
pipe.buffer @ring : memref<2x2x64xi8> symmetric
// CHECK:      pipe.span @call.p call "p"
// CHECK-NEXT: pipe.span @step.plan step "plan"
// CHECK-NEXT: pipe.span @step.move step "move"
// CHECK-NEXT: pipe.span @stage.send stage "send"
// CHECK-NEXT: pipe.span @wait.met wait "met" of @met
// CHECK-NEXT: pipe.span @put.rows put "rows" of @rows
// CHECK-NEXT: pipe.span @wait.rows wait "rows" of @rows
// CHECK-NEXT: pipe.program @p
pipe.program @p() {
  // CHECK-NEXT: pipe.mark begin @call.p{{$}}
  // CHECK-NEXT: pipe.rank
  %i = pipe.rank
  // CHECK-NEXT: pipe.mark begin @step.plan{{$}}
  pipe.step "plan"
  // CHECK-NEXT: pipe.receive @met
  %met = pipe.receive @met[%i] from %i
  // CHECK-NEXT: pipe.mark end @step.plan
  // CHECK-NEXT: pipe.mark begin @step.move
  pipe.step "move"
  // CHECK-NEXT: pipe.pipeline
  pipe.pipeline chunks %i {
    // CHECK-NEXT: pipe.stage "send"
    pipe.stage "send" lag 0 {
    // CHECK-NEXT: ^bb0(%[[CHUNK:.*]]: index):
    ^bb0(%chunk: index):
      // CHECK-NEXT: pipe.mark begin @stage.send chunk %[[CHUNK]]
      // CHECK-NEXT: pipe.claim
      %slot = pipe.claim @rows[%i] from %i
      // CHECK-NEXT: pipe.put
      pipe.put @ring[%i, %slot] to %i @ring[%i, %slot] bytes 64 plus %i times 0 signal @rows[%i, %i]
      // CHECK-NEXT: pipe.receive
      %taken = pipe.receive @rows[%i] from %i
      // CHECK-NEXT: pipe.release
      pipe.release @rows[%i] to %i[%i]
      // CHECK-NEXT: pipe.mark end @stage.send{{$}}
    }
  }
  // A step of the name of one before has its span.
  // CHECK:      pipe.mark end @step.move
  // CHECK-NEXT: pipe.mark begin @step.plan
  pipe.step "plan"
  // CHECK-NEXT: pipe.mark end @step.plan
  // CHECK-NEXT: pipe.mark end @call.p
  // CHECK-NEXT: pipe.return
  pipe.return
}

//--- blocks.mlir
pipe.program @p() {
  cf.br ^next
^next:
  pipe.return
}
