// The whole way from intent to LLVM IR and to instructions.
// RUN: fusco-opt %s --fusco-cpu-pipeline | mlir-translate --mlir-to-llvmir > %t.ll
// RUN: FileCheck %s --input-file=%t.ll --implicit-check-not="store <{{.*}} x {{float|half|bfloat}}>{{.*}}!nontemporal"
// RUN: llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 %t.ll -o - | FileCheck %s --check-prefix=V4 --implicit-check-not=fmaf
// RUN: llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 %t.ll -o - | FileCheck %s --check-prefix=V3 --implicit-check-not=fmaf

// Rows of 7 elements start anywhere: as many bytes, but no streaming store.
// RUN: sed s/x2048x/x7x/g %s | fusco-opt --fusco-cpu-pipeline | mlir-translate --mlir-to-llvmir > %t.odd.ll
// RUN: FileCheck %s --check-prefix=ODD --input-file=%t.odd.ll --implicit-check-not="!nontemporal"

// One node has no partial sums: even and odd columns are joined and go past the caches.
// RUN: sed "s/nodes = 2, ranks_per_node = 4/nodes = 1, ranks_per_node = 8/" %s | fusco-opt --fusco-cpu-pipeline | mlir-translate --mlir-to-llvmir > %t.one.ll
// RUN: llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v4 %t.one.ll -o - | FileCheck %s --check-prefix=ONE-V4
// RUN: llc -mtriple=x86_64-linux-gnu -mcpu=x86-64-v3 %t.one.ll -o - | FileCheck %s --check-prefix=ONE-V3

// CHECK-LABEL: define internal i32 @dispatch.program(ptr
// The exchange of counts, with all nodes: put, then look, then ask the runtime.
// CHECK: call i32 @fusco_program_put(ptr %0,
// CHECK: load atomic i64, ptr %{{.*}} acquire, align 8
// CHECK: call i32 @fusco_program_wait(ptr %0, ptr %{{.*}}, i64 %{{.*}}, i32 %{{.*}}, i32 0)
// CHECK: call i32 @fusco_program_fail(ptr %0, i32 2,
// Rows go out as integers, past the caches, line by line.
// CHECK-COUNT-4: store <16 x i32> %{{.*}}, ptr %{{.*}}, align 64, !nontemporal
// What goes to another node is put.
// CHECK: call i32 @fusco_program_put(ptr %0,
// Streaming stores are ordered by nothing weaker than this, and signalled after.
// CHECK: call void @llvm.x86.sse.sfence()
// CHECK-NOT: !nontemporal
// CHECK: atomicrmw add ptr %{{.*}}, i64 1 release, align 8
// CHECK: call i32 @fusco_program_wait(ptr %0, ptr %{{.*}}, i64 %{{.*}}, i32 %{{.*}}, i32 1)

// CHECK-LABEL: define internal i32 @combine.program(ptr
// CHECK: call i32 @fusco_program_wait(ptr %0, ptr %{{.*}}, i64 %{{.*}}, i32 %{{.*}}, i32 2)
// CHECK-COUNT-4: call <16 x float> @llvm.fma.v16f32(
// CHECK-COUNT-4: fadd <16 x float>
// CHECK-COUNT-4: store <16 x i16> %{{.*}}, ptr %{{.*}}, align 32, !nontemporal
// CHECK: call void @llvm.x86.sse.sfence()
// CHECK: call i32 @fusco_program_wait(ptr %0, ptr %{{.*}}, i64 %{{.*}}, i32 %{{.*}}, i32 3)

// CHECK-LABEL: define ptr @fusco_library_get()
// CHECK-LABEL: define i32 @model_dispatch(
// CHECK: call i32 @fusco_program_run(ptr @fusco_library, i32 0,
// CHECK-LABEL: define i32 @model_combine(
// CHECK: call i32 @fusco_program_run(ptr @fusco_library, i32 1,

// V4-LABEL: dispatch.program:
// V4-COUNT-4: vmovnt{{dq|ps|pd}} %zmm
// V4: sfence
// V4-LABEL: combine.program:
// V4-COUNT-4: vmovnt{{dq|ps|pd}} %ymm

// V3-LABEL: dispatch.program:
// V3-COUNT-8: vmovnt{{dq|ps|pd}} %ymm
// V3: sfence
// V3-LABEL: combine.program:
// V3-COUNT-4: vmovnt{{dq|ps|pd}} %ymm

// ONE-V4-LABEL: combine.program:
// ONE-V4: vpermt2w
// ONE-V4: vmovnt{{dq|ps|pd}} %zmm
// ONE-V3-LABEL: combine.program:
// ONE-V3: vpblendw $170
// ONE-V3: vmovnt{{dq|ps|pd}} %ymm

// ODD-LABEL: define internal i32 @dispatch.program(ptr
// ODD: store <2 x i32> %{{.*}}, ptr %{{.*}}, align 2
// ODD-LABEL: define internal i32 @combine.program(ptr
// ODD: store <4 x i16> %{{.*}}, ptr %{{.*}}, align 2

fusco.group @ep {experts = 64, topk = 6, max_tokens = 100000,
                 topology = <nodes = 2, ranks_per_node = 4>, placement = <block>}
func.func @dispatch(%x: tensor<?x2048xbf16>, %ids: tensor<?x6xi32>, %weights: tensor<?x6xf32>)
    -> (tensor<?x2048xbf16, #fusco.expert_major<align = 1>>, tensor<8xi32>, tensor<9xi32>, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x6xi32>, tensor<?x6xf32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %plan : tensor<?x2048xbf16>, !fusco.plan<@ep>
    -> tensor<?x2048xbf16, #fusco.expert_major<align = 1>>, tensor<8xi32>, tensor<9xi32>
  return %r#0, %r#1, %r#2, %plan
    : tensor<?x2048xbf16, #fusco.expert_major<align = 1>>, tensor<8xi32>, tensor<9xi32>, !fusco.plan<@ep>
}
func.func @combine(%y: tensor<?x2048xbf16, #fusco.expert_major<align = 1>>, %plan: !fusco.plan<@ep>)
    -> tensor<?x2048xbf16> {
  %z = fusco.combine %y by %plan weighted
    : tensor<?x2048xbf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x2048xbf16>
  return %z : tensor<?x2048xbf16>
}
