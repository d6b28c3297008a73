// RUN: fusco-opt %s --pipe-split-pipelines=workers=4 -split-input-file -verify-diagnostics | FileCheck %s

// CHECK: pipe.channel @sent {{.*}} lanes 8 depth 2
pipe.channel @sent phase rows link scale_out lanes 2 depth 2 freed_by credit
// CHECK: pipe.buffer @ring : memref<8x2x64xi8> symmetric
pipe.buffer @ring : memref<2x2x64xi8> symmetric
// CHECK: pipe.buffer @counts : memref<8xi32> symmetric
pipe.buffer @counts : memref<2xi32> symmetric
// What stages only read is shared.
// CHECK: pipe.buffer @table : memref<2xi32> symmetric
pipe.buffer @table : memref<2xi32> symmetric
// CHECK-LABEL: pipe.program @p
pipe.program @p() {
  %chunks = pipe.rank
  // CHECK: pipe.pipeline chunks %{{.*}} workers 4 {
  pipe.pipeline chunks %chunks {
    pipe.stage "send" lag 0 {
    // CHECK: ^bb0(%[[CHUNK:.*]]: index):
    // CHECK: %[[WORKER:.*]] = arith.remui %[[CHUNK]], %c4
    ^bb0(%chunk: index):
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      // CHECK: %[[LANES:.*]] = arith.muli %[[WORKER]], %c2
      // CHECK: %[[LANE:.*]] = arith.addi %c1{{.*}}, %[[LANES]]
      // CHECK: pipe.claim @sent[%[[LANE]]]
      %slot = pipe.claim @sent[%c1] from %c0
      // CHECK: %[[FIRST:.*]] = arith.muli %[[WORKER]], %c2
      // CHECK: memref.subview %{{.*}}[%[[FIRST]]] [2] [1] : memref<8xi32> to memref<2xi32, strided<[1], offset: ?>>
      %counts = pipe.local @counts : memref<2xi32>
      %table = pipe.local @table : memref<2xi32>
      // CHECK: memref.load %{{.*}} : memref<2xi32>
      %n = memref.load %table[%c0] : memref<2xi32>
      // CHECK: memref.store %{{.*}} : memref<2xi32, strided<[1], offset: ?>>
      memref.store %n, %counts[%c1] : memref<2xi32>
      %ring = pipe.local @ring : memref<2x2x64xi8>
      // CHECK: %[[ROW:.*]] = arith.addi %c1{{.*}}, %{{.*}}
      // CHECK: pipe.view %{{.*}}[%[[ROW]], %{{.*}}] at 0 : memref<8x2x64xi8> to memref<16xi32>
      %view = pipe.view %ring[%c1, %slot] at 0 : memref<2x2x64xi8> to memref<16xi32>
      // CHECK: pipe.put @ring[%{{.*}}, %c0{{.*}}] to %c0{{.*}} @ring[%{{.*}}, %{{.*}}] bytes 64 plus %c0{{.*}} times 0 signal @sent[%{{.*}}, %{{.*}}]
      pipe.put @ring[%c1, %c0] to %c0 @ring[%c0, %slot] bytes 64 plus %c0 times 0 signal @sent[%c1, %c0]
    }
  }
  pipe.return
}

// -----

// A row that only its worker uses is not multiplied once more, unlike other views.
// CHECK: pipe.buffer @scratch : memref<16x128xi8> plan
pipe.buffer @scratch : memref<16x128xi8> plan
// CHECK: pipe.buffer @shared : memref<8x128xi8> symmetric
pipe.buffer @shared : memref<2x128xi8> symmetric
// CHECK-LABEL: pipe.program @scratch_row
pipe.program @scratch_row(%x: memref<?x64xbf16> {pipe.name = "x"}) {
  %chunks = pipe.rank
  pipe.pipeline chunks %chunks {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      %c0 = arith.constant 0 : index
      // CHECK: %[[SCRATCH:.*]] = pipe.local @scratch
      %scratch = pipe.local @scratch : memref<16x128xi8>
      // CHECK-NEXT: %[[OWN:.*]] = pipe.worker
      %worker = pipe.worker
      // CHECK: pipe.view %[[SCRATCH]][%[[OWN]]] at 0
      %data = pipe.view %scratch[%worker] at 0 : memref<16x128xi8> to memref<1x64xf8E4M3FN, strided<[128, 1]>>
      // CHECK: pipe.view %[[SCRATCH]][%[[OWN]]] at 64
      %scales = pipe.view %scratch[%worker] at 64 : memref<16x128xi8> to memref<1x16xf32, strided<[32, 1]>>
      pipe.quantize_row %x[%c0] into %data, %scales[%c0] block 4
        : memref<?x64xbf16> into memref<1x64xf8E4M3FN, strided<[128, 1]>>, memref<1x16xf32, strided<[32, 1]>>
      %shared = pipe.local @shared : memref<2x128xi8>
      // CHECK: pipe.view %{{.*}}[%{{.*}}] at 0 : memref<8x128xi8> to memref<32xi32>
      %view = pipe.view %shared[%c0] at 0 : memref<2x128xi8> to memref<32xi32>
    }
  }
  pipe.return
}

// -----

pipe.buffer @counts : memref<2xi32> symmetric
pipe.program @outside() {
  %c0 = pipe.rank
  // expected-error@+1 {{'pipe.local' op expected @counts, which stages write, to be used in stages only}}
  %outer = pipe.local @counts : memref<2xi32>
  %n = memref.load %outer[%c0] : memref<2xi32>
  pipe.pipeline chunks %c0 {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      %counts = pipe.local @counts : memref<2xi32>
      memref.store %n, %counts[%chunk] : memref<2xi32>
    }
  }
  pipe.return
}
