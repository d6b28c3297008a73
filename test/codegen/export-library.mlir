// What users of a shared library see of it.
// RUN: fusco-opt %s --fusco-pipe-pipeline --fusco-describe-library=cpu-level=1 \
// RUN:   | %python %S/Inputs/library-info.py | FileCheck %s --check-prefix=INFO
// RUN: fusco-opt %s --fusco-cpu-pipeline | FileCheck %s
// RUN: fusco-import --name m --hidden 200 --experts 8 --topk 2 --nodes 2 --ranks-per-node 2 --max-tokens 32 \
// RUN:     --dispatch-dtype f8E5M2 --scale-block 48 --scale-type ue8m0 \
// RUN:   | fusco-opt --fusco-pipe-pipeline --fusco-describe-library=cpu-level=1 \
// RUN:   | %python %S/Inputs/library-info.py | FileCheck %s --check-prefix=FLOAT8

// INFO:      library magic=340431951174 abiVersion=7 size={{[0-9]+}} model=tiny target=cpu cpuLevel=1 maxBlocks=0
// INFO-SAME: numNodes=2 ranksPerNode=3 topk=2 numExperts=10 numRedundant=0 maxTokens=32 hidden=7 alignRows=8 capacityRows=0 scaleOutBytesPerRow=14
// INFO-SAME: dtypeCode=4 dtypeBits=16 idBits=64 isWeighted=1 hasTable=0 isRankMajor=0 dropsOverflow=0 partialBits=32 numPrograms=2
// INFO-SAME: symmetricBytes={{[1-9][0-9]*}} networkBytes={{[1-9][0-9]*}} planBytes={{[1-9][0-9]*}} planStatsBytes=0
// INFO-NEXT: program name=dispatch writesPlan=1 threadsPerBlock=0 sharedBytes=0 numTensors=6
// INFO-NEXT: tensor name=x dtypeCode=4 dtypeBits=16 isOutput=0 rowsKind=1 exposure=0 isByColumns=0 scaledColumns=0 ndim=2 shape=[-1, 7, 0]
// INFO-NEXT: tensor name=ids dtypeCode=0 dtypeBits=64 isOutput=0 rowsKind=1 exposure=0 isByColumns=0 scaledColumns=0 ndim=2 shape=[-1, 2, 0]
// INFO-NEXT: tensor name=weights dtypeCode=2 dtypeBits=32 isOutput=0 rowsKind=1 exposure=0 isByColumns=0 scaledColumns=0 ndim=2 shape=[-1, 2, 0]
// INFO-NEXT: tensor name=rows dtypeCode=4 dtypeBits=16 isOutput=1 rowsKind=2 exposure=1 isByColumns=0 scaledColumns=0 ndim=2 shape=[-1, 7, 0]
// INFO-NEXT: tensor name=counts dtypeCode=0 dtypeBits=32 isOutput=1 rowsKind=0 exposure=0 isByColumns=0 scaledColumns=0 ndim=1 shape=[2, 0, 0]
// INFO-NEXT: tensor name=offsets dtypeCode=0 dtypeBits=32 isOutput=1 rowsKind=0 exposure=0 isByColumns=0 scaledColumns=0 ndim=1 shape=[3, 0, 0]
// INFO-NEXT: program name=combine writesPlan=0 threadsPerBlock=0 sharedBytes=0 numTensors=2
// INFO-NEXT: tensor name=y dtypeCode=4 dtypeBits=16 isOutput=0 rowsKind=2 exposure=1 isByColumns=0 scaledColumns=0 ndim=2 shape=[-1, 7, 0]
// INFO-NEXT: tensor name=out dtypeCode=4 dtypeBits=16 isOutput=1 rowsKind=1 exposure=0 isByColumns=0 scaledColumns=0 ndim=2 shape=[-1, 7, 0]

// A library has spans where it is compiled with a timeline: of a channel that of its
// number.
// INFO-NOT: span
// RUN: fusco-opt %s --fusco-pipe-pipeline=timeline=true --fusco-describe-library=cpu-level=1 \
// RUN:   | %python %S/Inputs/library-info.py | FileCheck %s --check-prefix=SPANS
// SPANS: channel name=counts_exchanged phase=0
// SPANS: span name=dispatch kind=0 channel=-1
// SPANS: span name=count kind=1 channel=-1
// SPANS: span name=send kind=2 channel=-1
// SPANS: span name=counts_exchanged kind=4 channel=0
// SPANS: span name=counts_exchanged kind=3 channel=0

// Float8 rows have DLPack's codes of them, and columns of scales say how many elements
// share one. Between nodes a row of 200 bytes and its scales take whole lines.
// FLOAT8: hidden=200 {{.*}} scaleOutBytesPerRow=320
// FLOAT8: program name=dispatch
// FLOAT8: tensor name=x dtypeCode=4 dtypeBits=16 {{.*}} scaledColumns=0
// FLOAT8: tensor name=rows dtypeCode=12 dtypeBits=8 isOutput=1 rowsKind=2 exposure=1 isByColumns=0 scaledColumns=0 ndim=2 shape=[-1, 200, 0]
// FLOAT8: tensor name=scales dtypeCode=0 dtypeBits=32 isOutput=1 rowsKind=2 exposure=1 isByColumns=0 scaledColumns=48 ndim=2 shape=[-1, 2, 0]
// FLOAT8: program name=combine
// FLOAT8: tensor name=y dtypeCode=4 dtypeBits=16

// What has been lowered is gone.
// CHECK-NOT: fusco.group
// CHECK-NOT: pipe.{{buffer|channel|program}}
// CHECK-DAG: llvm.mlir.global internal constant @fusco_library_info(
// CHECK-DAG: llvm.func internal @dispatch.program(%{{.*}}: !llvm.ptr) -> i32
// CHECK-DAG: llvm.func internal @combine.program(%{{.*}}: !llvm.ptr) -> i32

// The description, then the programs, in their order.
// CHECK: llvm.mlir.global internal constant @fusco_library() {{.*}} : !llvm.array<10 x ptr>
// CHECK-DAG: %[[DESCRIPTION:.*]] = llvm.mlir.addressof @fusco_library_info
// CHECK-DAG: %[[DISPATCH:.*]] = llvm.mlir.addressof @dispatch.program
// CHECK-DAG: %[[COMBINE:.*]] = llvm.mlir.addressof @combine.program
// CHECK: llvm.insertvalue %[[DESCRIPTION]], %{{.*}}[0]
// CHECK: llvm.insertvalue %[[DISPATCH]], %{{.*}}[2]
// CHECK: llvm.insertvalue %[[COMBINE]], %{{.*}}[3]

// CHECK: llvm.func @fusco_library_get() -> !llvm.ptr
// CHECK: %[[LIBRARY:.*]] = llvm.mlir.addressof @fusco_library :
// CHECK: llvm.return %[[LIBRARY]]
// CHECK: llvm.func @tiny_library() -> !llvm.ptr

// Context, plan, 6 tensors, stream.
// CHECK: llvm.func @tiny_dispatch(%[[CONTEXT:[^:]*]]: !llvm.ptr, %[[PLAN:[^:]*]]: !llvm.ptr, %[[X:[^:]*]]: !llvm.ptr, %{{[^:]*}}: !llvm.ptr, %{{[^:]*}}: !llvm.ptr, %{{[^:]*}}: !llvm.ptr, %{{[^:]*}}: !llvm.ptr, %[[OFFSETS:[^:]*]]: !llvm.ptr, %[[STREAM:[^:]*]]: !llvm.ptr) -> i32
// CHECK: %[[TENSORS:.*]] = llvm.alloca %{{.*}} x !llvm.ptr
// CHECK: llvm.store %[[X]], %[[TENSORS]]
// CHECK: %[[LAST:.*]] = llvm.getelementptr %[[TENSORS]][5]
// CHECK: llvm.store %[[OFFSETS]], %[[LAST]]
// CHECK: llvm.call @fusco_program_run(%{{.*}}, %{{.*}}, %[[CONTEXT]], %[[PLAN]], %[[TENSORS]], %[[STREAM]])

// CHECK: llvm.func @tiny_combine(%{{[^:]*}}: !llvm.ptr, %{{[^:]*}}: !llvm.ptr, %{{[^:]*}}: !llvm.ptr, %{{[^:]*}}: !llvm.ptr, %{{[^:]*}}: !llvm.ptr) -> i32
// CHECK-DAG: %[[SECOND:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.call @fusco_program_run(%{{.*}}, %[[SECOND]],

module @tiny {
  fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                   topology = <nodes = 2, ranks_per_node = 3>, placement = <block>}
  func.func @dispatch(%x: tensor<?x7xbf16>, %ids: tensor<?x2xi64>, %weights: tensor<?x2xf32>)
      -> (tensor<?x7xbf16, #fusco.expert_major<align = 8>>, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>) {
    %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi64>, tensor<?x2xf32> -> !fusco.plan<@ep>
    %r:3 = fusco.dispatch %x by %plan : tensor<?x7xbf16>, !fusco.plan<@ep>
      -> tensor<?x7xbf16, #fusco.expert_major<align = 8>>, tensor<2xi32>, tensor<3xi32>
    return %r#0, %r#1, %r#2, %plan
      : tensor<?x7xbf16, #fusco.expert_major<align = 8>>, tensor<2xi32>, tensor<3xi32>, !fusco.plan<@ep>
  }
  func.func @combine(%y: tensor<?x7xbf16, #fusco.expert_major<align = 8>>, %plan: !fusco.plan<@ep>)
      -> tensor<?x7xbf16> {
    %z = fusco.combine %y by %plan weighted
      : tensor<?x7xbf16, #fusco.expert_major<align = 8>>, !fusco.plan<@ep> -> tensor<?x7xbf16>
    return %z : tensor<?x7xbf16>
  }
}
