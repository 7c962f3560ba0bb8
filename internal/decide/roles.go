// SPDX-License-Identifier: MIT

package decide

// The operators' names: roles of the election, arguments of the command line,
// labels of metrics.
const (
	RoleSessionSetup       = "session-setup"
	RoleStatus             = "status"
	RolePowerOn            = "power-on"
	RolePowerOffGraceful   = "power-off-graceful"
	RolePowerOffForceful   = "power-off-forceful"
	RoleConfiguration      = "configuration"
	RoleDiscovery          = "discovery"
	RoleSessionCompletion  = "session-completion"
	RoleSessionCleanup     = "session-cleanup"
	RoleActualStateCleanup = "actual-state-cleanup"
)

// Roles returns the names of all operators.
func Roles() []string {
	return []string{
		RoleActualStateCleanup, RoleConfiguration, RoleDiscovery, RolePowerOffForceful, RolePowerOffGraceful,
		RolePowerOn, RoleSessionCleanup, RoleSessionCompletion, RoleSessionSetup, RoleStatus,
	}
}
