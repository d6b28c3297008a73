!data = tensor<?x200xf8E4M3FN>
!scales = tensor<?x5xf32>
!expert_data = tensor<?x200xf8E4M3FN, #fusco.expert_major<align = 8>>
!expert_scales = tensor<?x5xf32, #fusco.expert_major<align = 8>>
module @m {
  fusco.group @ep {experts = 10, topk = 3, max_tokens = 32,
                   topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
  func.func @dispatch(%x: !data, %scales: !scales, %ids: tensor<?x3xi32>)
      -> (!expert_data, !expert_scales, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>) {
    %plan = fusco.plan %ids in @ep : tensor<?x3xi32> -> !fusco.plan<@ep>
    %r:4 = fusco.dispatch %x, %scales by %plan : (!data, !scales), !fusco.plan<@ep>
      -> (!expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
    return %r#0, %r#1, %r#2, %r#3, %plan
      : !expert_data, !expert_scales, tensor<3xi32>, tensor<4xi32>, !fusco.plan<@ep>
  }
  // Other rows by a plan that is there already.
  func.func @again(%x: !data, %scales: !scales, %plan: !fusco.plan<@ep>) -> (!expert_data, !expert_scales) {
    %r:4 = fusco.dispatch %x, %scales by %plan : (!data, !scales), !fusco.plan<@ep>
      -> (!expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
    return %r#0, %r#1 : !expert_data, !expert_scales
  }
}
