//===- FakeModule.cpp - The fake library as a shared object ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What a host opens: the fake library and the runtime in one shared object,
/// linked as fusco-compile links them.
//
//===----------------------------------------------------------------------===//

#include "FakeLibrary.h"

extern "C" FUSCO_API const fusco_library *fusco_library_get(void);

const fusco_library *fusco_library_get(void) {
  static const fusco::test::FakeLibrary fake(2);
  return &fake.library;
}
