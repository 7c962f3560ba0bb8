// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"bos/internal/bos"
)

// acceptTemplate checks a template that is to be stored and brings it into the
// form in which it is. Boot sets are looked at in order, up to the first that is
// refused. What keeps the template from being used, but not from being stored,
// is only logged.
func (s *server) acceptTemplate(ctx context.Context, t bos.Template, key bos.TemplateKey, options bos.Options) (bos.Template, error) {
	if err := bos.CheckTemplateRequest(&t, options); err != nil {
		return t, err
	}
	t = t.Sanitize(key.Name, key.Tenant)
	for name, sent := range t.BootSets.All() {
		set, err := s.images.Resolve(ctx, sent)
		if err != nil {
			return t, inBootSet(name, err)
		}
		t.BootSets.Set(name, set)
		facts := s.images.Facts(ctx, &set)
		if err := ctx.Err(); err != nil {
			return t, err
		}
		if _, err := bos.CheckImageAtPut(name, &set, facts, options); err != nil {
			return t, err
		}
		warnings, err := t.CheckBootSet(&set, bos.OperationBoot, facts, options)
		if err != nil {
			warnings = []string{err.Error()}
		}
		s.warn(ctx, key, name, warnings)
	}
	return t, nil
}

// inBootSet puts the name of a boot set in front of what is wrong with it.
func inBootSet(name string, err error) error {
	var e *bos.Error
	if !errors.As(err, &e) || e.Code != bos.CodeInvalid {
		return err
	}
	return &bos.Error{Code: bos.CodeInvalid, Message: "boot_sets." + name + "." + e.Message, Err: err}
}

// checkTemplate checks a stored template for an operation, boot set by boot set
// up to the first that can't be used.
func (s *server) checkTemplate(ctx context.Context, t *bos.Template, operation bos.Operation, options bos.Options) (warnings []string, err error) {
	for name, set := range t.BootSets.All() {
		var facts bos.BootSetFacts
		if operation != bos.OperationShutdown {
			facts = s.images.Facts(ctx, &set)
		}
		found, err := t.CheckBootSet(&set, operation, facts, options)
		if err != nil {
			return warnings, errors.New(bos.BootSetText(t.Name, name, err.Error()))
		}
		s.warn(ctx, t.Key(), name, found)
		for _, warning := range found {
			warnings = append(warnings, bos.BootSetText(t.Name, name, warning))
		}
	}
	return warnings, nil
}

// verdict says in a text what came of the check of a template.
func verdict(warnings []string, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case len(warnings) > 0:
		return strings.Join(warnings, "; ")
	}
	return "Valid"
}

// warn logs what was found about a boot set.
func (s *server) warn(ctx context.Context, key bos.TemplateKey, set string, warnings []string) {
	for _, warning := range warnings {
		s.log.WarnContext(ctx, "about a session template", slog.String("template", key.Name), slog.String("tenant", key.Tenant),
			slog.String("boot_set", set), slog.String("warning", warning))
	}
}
