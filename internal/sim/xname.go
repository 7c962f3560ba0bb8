// SPDX-License-Identifier: MIT

package sim

import "strings"

// xnameType returns the HMS type of the location that x names and x in normal
// form: lower case, no leading zeros. ok is false where x is no xname at all.
// Upper case and leading zeros are accepted, as HSM does.
func xnameType(x string) (typ, normal string, ok bool) {
	shape := make([]byte, 0, 8)
	clean := true
	for i := 0; i < len(x); {
		c := x[i] | 0x20
		if c < 'a' || c > 'z' {
			return "", "", false
		}
		clean = clean && c == x[i]
		shape = append(shape, c)
		i++
		digits := i
		for i < len(x) && x[i] >= '0' && x[i] <= '9' {
			i++
		}
		if i == digits || i-digits > 9 {
			return "", "", false
		}
		clean = clean && (x[digits] != '0' || i-digits == 1)
	}
	typ = shapeType(string(shape))
	if typ == "" {
		return "", "", false
	}
	if clean {
		return typ, x, true
	}
	return typ, normaliseXname(x), true
}

// shapeType maps the letters of an xname to the type it names, "" for none.
func shapeType(shape string) string {
	switch shape {
	case "xcsbn":
		return typeNode
	case "xcsb":
		return typeBMC
	case "xcs":
		return "ComputeModule"
	case "xc":
		return typeChassis
	case "xcb":
		return "ChassisBMC"
	case "x":
		return "Cabinet"
	case "xcr":
		return "RouterModule"
	case "xcrb":
		return "RouterBMC"
	case "xcw":
		return "MgmtSwitch"
	case "xm":
		return "CabinetPDUController"
	case "d":
		return "CDU"
	}
	return ""
}

func normaliseXname(x string) string {
	x = strings.ToLower(x)
	var b strings.Builder
	b.Grow(len(x))
	for i := 0; i < len(x); i++ {
		leadingZero := x[i] == '0' && i > 0 && x[i-1] > '9' && i+1 < len(x) && x[i+1] <= '9'
		if leadingZero {
			// The next digit takes this one's place; more zeros may follow.
			x = x[:i] + x[i+1:]
			i--
			continue
		}
		b.WriteByte(x[i])
	}
	return b.String()
}

// isLowerXname reports whether x is an xname in lower case, which is all that
// PCS asks for: leading zeros pass.
func isLowerXname(x string) bool {
	_, _, ok := xnameType(x)
	return ok && x == strings.ToLower(x)
}

// isNodeXname reports whether x names a node in normal form.
func isNodeXname(x string) bool {
	typ, normal, ok := xnameType(x)
	return ok && typ == typeNode && normal == x
}
