// SPDX-License-Identifier: MIT

package bos

import "fmt"

// StagedOutcome says what applystaged did with one node.
type StagedOutcome string

// The outcomes of applystaged.
const (
	StagedSucceeded StagedOutcome = "succeeded"
	StagedFailed    StagedOutcome = "failed"
	StagedIgnored   StagedOutcome = "ignored"
)

// ApplyStaged makes the staged state of a node its desired state. Tenant in w
// is the caller's; without one, the owner of the staged state decides whose
// session is meant. operationOf looks up the operation of a session; the
// operation that set-up kept with the staged state goes before it, so that
// deleting the session does not strand the node. An ignored node is returned
// unchanged.
func (w Write) ApplyStaged(old Record, clearStage bool, operationOf func(SessionKey) (Operation, bool)) (Record, StagedOutcome) {
	staged := old.Component.StagedState.Value()
	name := staged.Session.Value()
	if name == "" {
		return old, StagedIgnored
	}
	tenant := w.Tenant
	if tenant == "" {
		tenant = old.Sealed.StagedOwner
	}
	operation := old.Sealed.StagedOperation
	if operation == "" || tenant != old.Sealed.StagedOwner {
		operation, _ = operationOf(SessionKey{Tenant: tenant, Name: name})
	}

	doc, outcome := old.Component, StagedSucceeded
	if problem := stagedProblem(operation, staged.BootArtifacts.Value()); problem != "" {
		outcome = StagedFailed
		doc.Error = Some(fmt.Sprintf("%s (session: %s, tenant: %s)", problem, name, w.Tenant))
		doc.Enabled = Some(false)
	} else {
		doc.DesiredState = Some(stagedTarget(staged))
		doc.Enabled = Some(true)
		if operation == OperationReboot {
			doc.ActualState = Some(EmptyActualState())
		}
	}
	doc.Session = Some(name)
	last := doc.LastAction.Value()
	last.Action = Some(ActionApplyStaged)
	doc.LastAction = Some(last)
	if clearStage {
		doc.StagedState = Some(EmptyStagedState())
	}

	rec := w.Put(&old, doc)
	rec.Revision = old.Revision
	rec.Sealed.Owner = tenant
	rec.Join(rec.OwnSession())
	rec.Sealed.StagedOwner, rec.Sealed.StagedOperation = old.Sealed.StagedOwner, old.Sealed.StagedOperation
	rec.Sealed.StagedApplied = true
	rec.Sealed.Restart = outcome == StagedSucceeded && operation == OperationReboot
	return rec, outcome
}

// stagedProblem says why a staged state can't be applied, or "".
func stagedProblem(operation Operation, artifacts BootArtifacts) string {
	kernel, parameters, initrd := artifacts.Kernel.Value(), artifacts.KernelParameters.Value(), artifacts.Initrd.Value()
	switch operation {
	case OperationShutdown:
		if kernel != "" || parameters != "" || initrd != "" {
			return "Staged operation is shutdown but boot artifacts have been specified"
		}
	case OperationBoot, OperationReboot:
		if kernel == "" || parameters == "" || initrd == "" {
			return fmt.Sprintf("Staged operation is %s but some boot artifacts have not been specified", operation)
		}
	default:
		return "Staged session no longer exists"
	}
	return ""
}

// stagedTarget is what was staged, as it was written; artifacts that were left
// out altogether are empty ones.
func stagedTarget(staged StagedState) DesiredState {
	return DesiredState{
		BootArtifacts: Some(staged.BootArtifacts.Or(EmptyBootArtifacts())),
		Configuration: Some(staged.Configuration.Value()),
	}
}
