// SPDX-License-Identifier: MIT

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/view"
)

// The fixed beginnings of what is said of templates that are refused.
const (
	textNotCreated = "The session template could not be created: "
	textNotPatched = "The session template could not be patched: "
)

// templateKey names the template of a request.
func templateKey(x *exchange) bos.TemplateKey {
	return bos.TemplateKey{Tenant: x.tenant, Name: x.text("session_template_id")}
}

func noTemplate(key bos.TemplateKey) error {
	return bos.Errorf(bos.CodeNotFound, "%s", bos.NotFoundText("Session template", key))
}

// template returns the template of a request, no older than the request.
func (s *server) template(x *exchange) (*bos.Template, view.Tag, error) {
	if err := s.sync(x.ctx()); err != nil {
		return nil, view.Tag{}, err
	}
	rec, tag, ok := s.view.TemplateAt(templateKey(x))
	if !ok {
		return nil, tag, noTemplate(templateKey(x))
	}
	return &rec.Template, tag, nil
}

func (s *server) listTemplates(x *exchange) error {
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	templates, tag := s.view.TemplatesAt(x.tenant)
	if x.unchanged(tag) {
		return nil
	}
	return list(x, templates, func(dst []byte, rec *bos.TemplateRecord) ([]byte, error) {
		data, err := json.Marshal(rec.Template)
		return append(dst, data...), err
	})
}

func (s *server) getTemplate(x *exchange) error {
	t, tag, err := s.template(x)
	if err != nil || x.unchanged(tag) {
		return err
	}
	return x.json(http.StatusOK, t)
}

func (s *server) putTemplate(x *exchange) error {
	if err := s.tenantExists(x.ctx(), x.tenant); err != nil {
		return err
	}
	var t bos.Template
	if err := decode(x.body, &t); err != nil {
		return err
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	key := templateKey(x)
	t, err := s.acceptTemplate(x.ctx(), t, key, s.view.Options())
	if err != nil {
		return refused(err, textNotCreated)
	}
	revision, err := s.store.PutDoc(x.ctx(), store.TemplateKey(key), bos.TemplateRecord{Template: t}, nil)
	if err != nil {
		return fits(err, "the session template")
	}
	s.settle(x.ctx(), revision)
	return x.json(http.StatusOK, t)
}

func (s *server) patchTemplate(x *exchange) error {
	var patch bos.TemplatePatch
	if err := decode(x.body, &patch); err != nil {
		return err
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	key, options := templateKey(x), s.view.Options()
	var written bos.Template
	revision, err := store.Update[*bos.TemplateRecord]{
		Key:    store.TemplateKey(key),
		Decode: func(kv store.KV) (*bos.TemplateRecord, error) { return store.DecodeTemplate(kv, key) },
		Change: func(old *bos.TemplateRecord, exists bool) (any, []store.Op, error) {
			if !exists {
				return nil, nil, noTemplate(key)
			}
			var err error
			if written, err = s.acceptTemplate(x.ctx(), old.Template.Patch(patch), key, options); err != nil {
				return nil, nil, refused(err, textNotPatched)
			}
			rec := bos.TemplateRecord{Template: written}
			return rec, nil, changed(old, rec)
		},
	}.Run(x.ctx(), s.store)
	if err := unlessUnchanged(err); err != nil {
		return fits(err, "the session template")
	}
	s.settle(x.ctx(), revision)
	return x.json(http.StatusOK, written)
}

func (s *server) deleteTemplate(x *exchange) error {
	key := templateKey(x)
	revision, err := s.store.DeleteDoc(x.ctx(), store.TemplateKey(key))
	if bos.IsNotFound(err) {
		return noTemplate(key)
	}
	if err != nil {
		return fmt.Errorf("delete a session template: %w", err)
	}
	s.settle(x.ctx(), revision)
	x.none()
	return nil
}

// validateTemplate answers with a text, whether the template can be used or not.
func (s *server) validateTemplate(x *exchange) error {
	t, _, err := s.template(x)
	if err != nil {
		return err
	}
	warnings, err := s.checkTemplate(x.ctx(), t, bos.OperationBoot, s.view.Options())
	if ctxErr := x.ctx().Err(); ctxErr != nil {
		return ctxErr
	}
	return x.json(http.StatusOK, verdict(warnings, err))
}

// refused puts the fixed beginning in front of what is wrong with a template.
func refused(err error, beginning string) error {
	var e *bos.Error
	if !errors.As(err, &e) || e.Code != bos.CodeInvalid {
		return err
	}
	return &bos.Error{Code: bos.CodeInvalid, Message: beginning + e.Message, Err: err}
}

// example is a template to start from.
const example = `{
  "enable_cfs": true,
  "cfs": {
    "configuration": "default-sessiontemplate-cfs-config"
  },
  "boot_sets": {
    "name_your_boot_set": {
      "path": "s3://boot-images/boot-image-ims-id/manifest.json",
      "type": "s3",
      "etag": "boot-image-s3-etag",
      "kernel_parameters": "your-kernel-parameters",
      "node_list": ["xname1", "xname2", "xname3"],
      "rootfs_provider": "sbps",
      "rootfs_provider_passthrough": "sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.my-system.my-site-domain:300",
      "cfs": {
        "configuration": "bootset-specific-cfs-override"
      }
    }
  }
}
`

func (s *server) getExampleTemplate(x *exchange) error {
	x.bytes(http.StatusOK, contentTypeJSON, []byte(example))
	return nil
}
