package saml

import (
	"encoding/base64"

	"github.com/beevik/etree"
)

// Metadata describes the identity provider for those who trust it, as XML.
func (p *Provider) Metadata() ([]byte, error) {
	e := etree.NewElement("md:EntityDescriptor")
	e.CreateAttr("xmlns:md", metadataSpace)
	e.CreateAttr("entityID", p.o.EntityID)
	idp := e.CreateElement("md:IDPSSODescriptor")
	idp.CreateAttr("protocolSupportEnumeration", protocolSpace)

	key := idp.CreateElement("md:KeyDescriptor")
	key.CreateAttr("use", "signing")
	info := key.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", signatureSpace)
	info.CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(p.certificate))
	p.organization(idp)
	p.contact(idp)
	idp.CreateElement("md:NameIDFormat").SetText(transient)
	sso := idp.CreateElement("md:SingleSignOnService")
	sso.CreateAttr("Binding", uriBinding)
	sso.CreateAttr("Location", p.o.Endpoint)
	return text(e)
}

func (p *Provider) organization(idp *etree.Element) {
	o := p.o
	if o.OrganizationName == "" || o.OrganizationDisplayName == "" || o.OrganizationURL == "" {
		return
	}
	e := idp.CreateElement("md:Organization")
	for _, part := range []struct{ tag, text string }{{"md:OrganizationName", o.OrganizationName},
		{"md:OrganizationDisplayName", o.OrganizationDisplayName}, {"md:OrganizationURL", o.OrganizationURL}} {
		child := e.CreateElement(part.tag)
		child.CreateAttr("xml:lang", o.Lang)
		child.SetText(part.text)
	}
}

func (p *Provider) contact(idp *etree.Element) {
	o := p.o
	if o.ContactCompany == "" || o.ContactName == "" || o.ContactSurname == "" || o.ContactEmail == "" || o.ContactTelephone == "" {
		return
	}
	e := idp.CreateElement("md:ContactPerson")
	e.CreateAttr("contactType", o.ContactType)
	for _, part := range []struct{ tag, text string }{{"md:Company", o.ContactCompany}, {"md:GivenName", o.ContactName},
		{"md:SurName", o.ContactSurname}, {"md:EmailAddress", o.ContactEmail}, {"md:TelephoneNumber", o.ContactTelephone}} {
		e.CreateElement(part.tag).SetText(part.text)
	}
}
