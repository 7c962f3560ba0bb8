// SPDX-License-Identifier: MIT

package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The words that HSM knows, in its own spelling.
func hsmWords(kind string) []string {
	switch kind {
	case "type":
		return []string{
			typeNode, typeBMC, typeChassis, "ChassisBMC", "ComputeModule", "Cabinet", "RouterModule", "RouterBMC",
			"NodeEnclosure", "MgmtSwitch", "CabinetPDUController", "CDU", "HSNBoard", "Processor", "Memory",
		}
	case "state":
		return []string{"Unknown", "Empty", "Populated", stateOff, stateOn, "Standby", "Halt", stateReady}
	case "flag":
		return []string{"OK", "Warning", "Alert", "Unknown", "Locked"}
	case "role":
		return []string{roleCompute, "Service", "System", "Application", "Storage", "Management"}
	case "subrole":
		return []string{
			"Master", "Worker", "Storage", "UAN", "Gateway", "LNETRouter", "Visualization", "UserDefined",
		}
	case "arch":
		return []string{archX86, archARM, archUnknown, "Other"}
	case "class":
		return []string{"River", "Mountain", "Hill"}
	}
	return nil
}

// hsmWord returns the word in HSM's spelling, false for an unknown one.
func hsmWord(kind, word string) (string, bool) {
	words := hsmWords(kind)
	i := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, word) })
	if i < 0 {
		return "", false
	}
	return words[i], true
}

// hsmFilter selects components. Values of one field are alternatives, fields
// must all fit, a leading "!" negates a value.
type hsmFilter struct {
	words    map[string]wordFilter
	ids      wordFilter
	nids     wordFilter
	groups   wordFilter
	parts    wordFilter
	enabled  wordFilter
	locked   wordFilter
	reserved wordFilter
	nidFrom  int32
	nidTo    int32
	// only names the fields to answer with, "" all.
	only string
	// values counts all values, as HSM's database does.
	values int
}

// wordFilter is the wanted and the unwanted values of one field.
type wordFilter struct{ yes, no []string }

// matchBool is match for a value that is only spelt out where it matters.
func (f wordFilter) matchBool(v bool) bool {
	return len(f.yes)+len(f.no) == 0 || f.match(strconv.FormatBool(v))
}

func (f wordFilter) match(v string) bool {
	return (len(f.yes) == 0 || slices.Contains(f.yes, v)) && !slices.Contains(f.no, v)
}

func (f *wordFilter) add(v string, negative bool) {
	if negative {
		f.no = append(f.no, v)
	} else {
		f.yes = append(f.yes, v)
	}
}

// filterError is a refusal in HSM's own words.
type filterError string

// Error returns the words.
func (e filterError) Error() string { return string(e) }

const errNoValidInput filterError = "a required argument did not match any valid input"

// newHSMFilter reads a filter from query parameters, or from the fields of a
// query's body; unknown keys are ignored, as HSM does.
func newHSMFilter(values map[string][]string) (*hsmFilter, error) {
	f := &hsmFilter{words: map[string]wordFilter{}}
	for key, list := range values {
		key = strings.ToLower(key)
		for _, v := range list {
			if err := f.addValue(key, v); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

func (f *hsmFilter) addValue(key, v string) error {
	f.values++
	v, negative := strings.CutPrefix(v, "!")
	switch key {
	case "type", "state", "flag", "role", "subrole", "arch", "class":
		word, ok := hsmWord(key, v)
		if !ok {
			return filterError("Argument was not a valid HMS " + fieldTitle(key))
		}
		w := f.words[key]
		w.add(word, negative)
		f.words[key] = w
	case "enabled", "locked", "reserved":
		on, err := strconv.ParseBool(v)
		if err != nil {
			return errNoValidInput
		}
		f.boolFilter(key).add(strconv.FormatBool(on != negative), false)
	case "id":
		_, normal, ok := xnameType(v)
		if !ok {
			return filterError("Argument was not a valid xname ID")
		}
		f.ids.add(normal, negative)
	case "nid", "nid_start", "nid_end":
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return errNoValidInput
		}
		f.addNID(key, int32(n), negative)
	case "group":
		f.groups.add(strings.ToLower(v), negative)
	case "partition":
		f.parts.add(v, negative)
	case "stateonly", "flagonly", "roleonly", "nidonly":
		if on, _ := strconv.ParseBool(v); on {
			f.only = key
		}
		f.values--
	default:
		f.values--
	}
	return nil
}

func (f *hsmFilter) boolFilter(key string) *wordFilter {
	switch key {
	case "locked":
		return &f.locked
	case "reserved":
		return &f.reserved
	}
	return &f.enabled
}

func (f *hsmFilter) addNID(key string, n int32, negative bool) {
	switch key {
	case "nid":
		f.nids.add(strconv.Itoa(int(n)), negative)
	case "nid_start":
		f.nidFrom = n
	case "nid_end":
		f.nidTo = n
	}
}

// fieldTitle is how HSM's errors spell a field.
func fieldTitle(key string) string {
	if key == "subrole" {
		return "SubRole"
	}
	return strings.ToUpper(key[:1]) + key[1:]
}

// match reports whether the component fits, memberships apart.
func (f *hsmFilter) match(c *component, now time.Duration) bool {
	if c.gone {
		return false
	}
	for key, w := range f.words {
		if !w.match(c.word(key)) {
			return false
		}
	}
	if f.nidFrom != 0 && c.nid < f.nidFrom || f.nidTo != 0 && c.nid > f.nidTo {
		return false
	}
	return f.ids.match(c.id) &&
		f.enabled.matchBool(c.enabled) &&
		f.locked.matchBool(c.locked) &&
		f.reserved.matchBool(c.reserved(now)) &&
		(len(f.nids.yes)+len(f.nids.no) == 0 || f.nids.match(strconv.Itoa(int(c.nid))))
}

func (c *component) word(key string) string {
	switch key {
	case "type":
		return c.typ
	case "state":
		return c.state
	case "flag":
		return c.flag
	case "role":
		return c.role
	case "subrole":
		return c.subRole
	case "arch":
		return c.arch
	case "class":
		return c.class
	}
	return ""
}

// memberSets are the members of the groups and partitions that a filter names.
type memberSets struct {
	groups, noGroups memberSet
	parts, noParts   memberSet
	inNone           bool
	partitioned      memberSet
}

// memberSet is a set of components; nil is none at all, not an empty set.
type memberSet map[int32]bool

// memberSets resolves the groups and partitions of a filter; the lock must be
// held.
func (s *Site) memberSets(f *hsmFilter) *memberSets {
	sets := &memberSets{
		groups: membersOf(s.groups, f.groups.yes), noGroups: membersOf(s.groups, f.groups.no),
		parts: membersOf(s.partitions, f.parts.yes), noParts: membersOf(s.partitions, f.parts.no),
	}
	if sets.inNone = slices.Contains(f.parts.yes, "NULL"); sets.inNone {
		sets.partitioned = memberSet{}
		for _, p := range s.partitions {
			for _, i := range p.members {
				sets.partitioned[i] = true
			}
		}
	}
	return sets
}

func membersOf(groups []*group, labels []string) memberSet {
	if len(labels) == 0 {
		return nil
	}
	set := memberSet{}
	for _, g := range groups {
		if slices.Contains(labels, g.label) {
			for _, i := range g.members {
				set[i] = true
			}
		}
	}
	return set
}

func (m *memberSets) match(i int32) bool {
	if m.groups != nil && !m.groups[i] || m.noGroups[i] || m.noParts[i] {
		return false
	}
	return m.parts == nil || m.parts[i] || m.inNone && !m.partitioned[i]
}
