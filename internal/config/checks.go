// SPDX-License-Identifier: MIT

package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkAddress checks host:port and returns the port.
func checkAddress(address string) (int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fmt.Errorf("%.100q is not host:port", address)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHostName(host) {
		return 0, fmt.Errorf("%.100q is neither an address nor the name of a host", host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%.100q is not a port from 0 to %d", port, maxPort)
	}
	return int(n), nil
}

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func isHostName(host string) bool {
	for _, r := range host {
		if !isAlphanumeric(r) && !strings.ContainsRune("-._", r) {
			return false
		}
	}
	return host != "" && len(host) <= 253
}

// checkPath checks a path of plain segments, or "".
func checkPath(p *string) func() error {
	return func() error {
		if *p == "" {
			return nil
		}
		for segment := range strings.SplitSeq(strings.TrimPrefix(*p, "/"), "/") {
			if strings.Trim(segment, ".") == "" || strings.ContainsFunc(segment, func(r rune) bool {
				return !isAlphanumeric(r) && !strings.ContainsRune("-._~", r)
			}) {
				return fmt.Errorf("%.100q is not a path of letters, digits and -._~", *p)
			}
		}
		return nil
	}
}

func joined(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// checkHost checks host[:port] or http[s]://host[:port].
func checkHost(s string, portNeeded bool) error {
	address := s
	if !strings.Contains(s, "://") {
		address = "http://" + s
	}
	if err := checkHTTP(address); err != nil {
		return fmt.Errorf("%.100q: %w", hideUserinfo(s), err)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || strings.Trim(u.Path, "/") != "":
		return fmt.Errorf("%.100q has a path; only a host, with a port, is wanted", s)
	case portNeeded && u.Port() == "":
		return fmt.Errorf("%.100q has no port", s)
	}
	return nil
}

func checkURLOrNone(p *string) func() error {
	return func() error {
		if *p == None {
			return nil
		}
		if err := checkHTTP(*p); err != nil {
			return fmt.Errorf("%.100q: %w; none turns the service off", hideUserinfo(*p), err)
		}
		return nil
	}
}

func checkURL(p *string) func() error {
	return func() error {
		if err := checkHTTP(*p); err != nil {
			return fmt.Errorf("%.100q: %w", hideUserinfo(*p), err)
		}
		return nil
	}
}

// checkHTTP checks the base URL of a service. Errors do not show it.
func checkHTTP(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it begins with neither http:// nor https://")
	case u.User != nil || strings.Contains(s, "@"):
		return errors.New("it holds credentials, which have no place in an address")
	case u.Hostname() == "":
		return errors.New("it has no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("it has a query or a fragment")
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil && !isHostName(host) {
		return errors.New("its host is neither an address nor a name")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("its port is not from 1 to %d", maxPort)
		}
	}
	return nil
}

func oneOf(p *string, allowed ...string) func() error {
	return func() error {
		if slices.Contains(allowed, *p) {
			return nil
		}
		return fmt.Errorf("%.100q is none of %s", *p, strings.Join(allowed, ", "))
	}
}

func within[T cmp.Ordered](p *T, lo, hi T) func() error {
	return func() error {
		if *p >= lo && *p <= hi {
			return nil
		}
		return fmt.Errorf("it must be from %v to %v, not %v", lo, hi, *p)
	}
}

func zeroOrWithin[T cmp.Ordered](p *T, lo, hi T) func() error {
	return func() error {
		var zero T
		if *p == zero {
			return nil
		}
		return within(p, lo, hi)()
	}
}

// plain refuses what a secret can't hold and does not show it.
func plain(s Secret) error {
	if !isPlain(string(s)) {
		return errors.New("it holds control characters or is not text in UTF-8")
	}
	return nil
}

func printable(p *string) func() error {
	return func() error {
		if !isPlain(*p) {
			return fmt.Errorf("%.100q holds control characters or is not text in UTF-8", *p)
		}
		return nil
	}
}

func isPlain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// readable checks that a file is there and can be read, if one is named.
func readable(p *string) func() error {
	return func() error {
		if *p == "" {
			return nil
		}
		if err := printable(p)(); err != nil {
			return err
		}
		f, err := os.Open(*p)
		if err == nil {
			var info fs.FileInfo
			info, err = f.Stat()
			if err = errors.Join(err, f.Close()); err == nil && info.IsDir() {
				err = errors.New("it is a folder")
			}
		}
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			err = at.Err
		}
		if err != nil {
			return fmt.Errorf("%s can't be read: %w", *p, err)
		}
		return nil
	}
}
