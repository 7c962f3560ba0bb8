// SPDX-License-Identifier: MIT

package view

import (
	"maps"
	"slices"
	"strings"

	"bos/internal/bos"
)

// owned holds what tenants have, apart for each, so that a question about one
// never looks at what another has. The tenant "" is nobody.
type owned[T any] map[string]map[string]T

func (o owned[T]) get(key bos.SessionKey) (T, bool) {
	v, ok := o[key.Tenant][key.Name]
	return v, ok
}

func (o owned[T]) put(key bos.SessionKey, v T) {
	if o[key.Tenant] == nil {
		o[key.Tenant] = map[string]T{}
	}
	o[key.Tenant][key.Name] = v
}

func (o owned[T]) drop(key bos.SessionKey) {
	delete(o[key.Tenant], key.Name)
	if len(o[key.Tenant]) == 0 {
		delete(o, key.Tenant)
	}
}

// list returns what a tenant has by name, or everything by tenant and name if
// tenant is empty.
func (o owned[T]) list(tenant string) []T {
	tenants := []string{tenant}
	if tenant == "" {
		tenants = slices.SortedFunc(maps.Keys(o), strings.Compare)
	}
	size := 0
	for _, tenant := range tenants {
		size += len(o[tenant])
	}
	out := make([]T, 0, size)
	for _, tenant := range tenants {
		for _, name := range slices.SortedFunc(maps.Keys(o[tenant]), strings.Compare) {
			out = append(out, o[tenant][name])
		}
	}
	return out
}
