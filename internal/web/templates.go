// SPDX-License-Identifier: MIT

package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// templateList is what the page of the templates shows.
type templateList struct {
	Templates []sessionTemplate
}

func (s *site) showTemplates(v *visit) error {
	var list templateList
	err := each(v, "/v2/sessiontemplates", func(t sessionTemplate) { list.Templates = append(list.Templates, t) })
	if err != nil {
		return err
	}
	return v.show("templates", v.newPage("Templates", "templates", list))
}

// validity is whether a template is valid; Text says what is wrong.
type validity struct {
	Valid   bool
	Text    string
	Problem *problem
}

func (s *site) showValidity(v *visit) error {
	var out validity
	var err error
	out.Problem, err = optional(v.get("/v2/sessiontemplatesvalid/"+url.PathEscape(v.r.PathValue("name")), &out.Text))
	if err != nil {
		return err
	}
	out.Valid = out.Text == "Valid"
	return v.show("validity", v.newPage("Validity", "templates", out))
}

// order is what somebody wants a session to do, as they wrote it into the form.
type order struct {
	Operation, Limit, Name string
	Stage, Disabled        bool
}

// document is the order as the API takes it.
func (o order) document(template string) map[string]any {
	doc := map[string]any{"operation": o.Operation, "template_name": template, "stage": o.Stage, "include_disabled": o.Disabled}
	if o.Limit != "" {
		doc["limit"] = o.Limit
	}
	if o.Name != "" {
		doc["name"] = o.Name
	}
	return doc
}

func readOrder(r *http.Request) order {
	return order{
		Operation: r.PostFormValue("operation"), Limit: strings.TrimSpace(r.PostFormValue("limit")),
		Name: strings.TrimSpace(r.PostFormValue("name")), Stage: r.PostFormValue("stage") != "", Disabled: r.PostFormValue("include_disabled") != "",
	}
}

// templateView is what the page of a template shows: the template and the form
// of a session, filled in again if there was something wrong with it.
type templateView struct {
	sessionTemplate
	Order   order
	Problem *problem
}

func (s *site) showTemplate(v *visit) error {
	return v.showTemplateWith(http.StatusOK, order{Operation: "boot"}, nil)
}

func (v *visit) showTemplateWith(status int, o order, p *problem) error {
	view := templateView{Order: o, Problem: p}
	name := v.r.PathValue("name")
	if err := v.get("/v2/sessiontemplates/"+url.PathEscape(name), &view.sessionTemplate); err != nil {
		return err
	}
	return v.showAs(status, "template", v.newPage(name, "templates", view))
}

// planView is what the page of a plan shows, before anything is done.
type planView struct {
	Plan     plan
	Template string
	Order    order
}

// Verb is what the session would do to its nodes.
func (p planView) Verb() string {
	if p.Order.Stage {
		return "Stage the " + p.Order.Operation + " of"
	}
	return map[string]string{"boot": "Boot", "reboot": "Reboot", "shutdown": "Shut down"}[p.Order.Operation]
}

// showPlan shows what a session would do. The session that may be made of it gets
// its name here: who sends the form twice makes one session.
func (s *site) showPlan(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	view := planView{Template: v.r.PathValue("name"), Order: readOrder(v.r)}
	err := v.post("/v2/sessionplan", view.Order.document(view.Template), &view.Plan)
	if err != nil {
		return v.again(view.Order, err)
	}
	if view.Order.Name == "" {
		view.Order.Name = view.Order.Operation + "-" + strings.ToLower(rand.Text()[:12])
	}
	return v.show("plan", v.newPage("Plan of a "+view.Order.Operation, "templates", view))
}

// again shows the form with what was wrong with it, if it was that.
func (v *visit) again(o order, err error) error {
	var p *problem
	if errors.As(err, &p) && p.Status != http.StatusUnauthorized {
		return v.showTemplateWith(p.Status, o, p)
	}
	return err
}

func (s *site) createSession(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	o := readOrder(v.r)
	var made session
	template := v.r.PathValue("name")
	if err := v.post("/v2/sessions", o.document(template), &made); err != nil {
		if !v.sentTwice(o, template, err) {
			return v.again(o, err)
		}
		made.Name = o.Name
	}
	redirect(v.w, http.StatusSeeOther, v.root+"sessions/"+url.PathEscape(made.Name))
	return nil
}

// sentTwice reports whether the session could not be made because it has been:
// the same form was sent before.
func (v *visit) sentTwice(o order, template string, err error) bool {
	var p *problem
	var there session
	return errors.As(err, &p) && p.Status == http.StatusConflict &&
		v.get("/v2/sessions/"+url.PathEscape(o.Name), &there) == nil &&
		there.Template == template && there.Operation == o.Operation && there.Limit == o.Limit && there.Stage == o.Stage
}
