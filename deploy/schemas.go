// SPDX-License-Identifier: MIT

//go:build never

package deploy

// The module has the API documents of Kubernetes' versions in its folder, which is
// all that is wanted of it: its code is not compiled.
import _ "sigs.k8s.io/kubectl-validate/pkg/utils"
