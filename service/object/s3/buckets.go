package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// segments ends the name of the container with a bucket's parts.
const segments = "+segments"

type ownerView struct {
	ID          string
	DisplayName string
}

func (r *request) owner() ownerView { return ownerView{r.signed.who.UserID, r.signed.who.UserName} }

func (h *Handler) listBuckets(ctx context.Context, r *request) error {
	type bucket struct{ Name, CreationDate string }
	out := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner   ownerView
		Buckets []bucket `xml:"Buckets>Bucket"`
	}{Owner: r.owner()}
	for l := (control.Listing{Limit: 1000}); ; {
		_, entries, err := h.c.ListContainers(ctx, r.account, l)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if l.Marker = e.Container.Name; !strings.HasSuffix(l.Marker, segments) && bucketName.MatchString(l.Marker) {
				out.Buckets = append(out.Buckets, bucket{l.Marker, when(e.Container.CreatedAt)})
			}
		}
		if len(entries) < l.Limit {
			return r.reply(out)
		}
	}
}

// bucket returns the bucket of a request.
func (h *Handler) bucket(ctx context.Context, r *request, method string) (*object.Container, error) {
	b, err := h.c.Container(ctx, object.Path{Account: r.account, Container: r.bucket}, method)
	return b, noBucket(err)
}

// noBucket names what is not there.
func noBucket(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(err, fault.NotFound, "The specified bucket does not exist.").WithCode("NoSuchBucket")
	}
	return err
}

func (h *Handler) headBucket(ctx context.Context, r *request) error {
	if _, err := h.bucket(ctx, r, "HEAD"); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) createBucket(ctx context.Context, r *request) error {
	var config struct {
		LocationConstraint string
	}
	if err := h.decode(r, &config); err != nil {
		return err
	}
	if !bucketName.MatchString(r.bucket) {
		return invalid("InvalidBucketName", "The specified bucket is not valid.")
	}
	if _, err := h.c.Container(ctx, object.Path{Account: r.account, Container: r.bucket}, "HEAD"); err == nil {
		return fault.Conflictf("Your previous request to create the named bucket succeeded and you already own it.").WithCode("BucketAlreadyOwnedByYou")
	}
	headers, err := cannedACL(r.Header.Get("X-Amz-Acl"))
	if err != nil {
		return err
	}
	created, err := h.c.PutContainer(ctx, object.Path{Account: r.account, Container: r.bucket}, headers)
	if err != nil {
		return err
	}
	if !created {
		return fault.Conflictf("Your previous request to create the named bucket succeeded and you already own it.").WithCode("BucketAlreadyOwnedByYou")
	}
	r.w.Header().Set("Location", "/"+r.bucket)
	r.w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) deleteBucket(ctx context.Context, r *request) error {
	p := object.Path{Account: r.account, Container: r.bucket}
	err := h.c.DeleteContainer(ctx, p)
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("The bucket you tried to delete is not empty").WithCode("BucketNotEmpty")
	}
	if err != nil {
		return noBucket(err)
	}
	p.Container += segments
	if err := h.c.DeleteContainer(ctx, p); err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) location(ctx context.Context, r *request) error {
	if _, err := h.bucket(ctx, r, "GET"); err != nil {
		return err
	}
	return r.reply(struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	}{})
}

func (h *Handler) versioning(ctx context.Context, r *request) error {
	if _, err := h.bucket(ctx, r, "GET"); err != nil {
		return err
	}
	return r.reply(struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ VersioningConfiguration"`
	}{})
}

type grantView struct {
	Grantee    granteeView
	Permission string
}

type granteeView struct {
	Schema      string `xml:"xmlns:xsi,attr"`
	Type        string `xml:"xsi:type,attr"`
	ID          string `xml:",omitempty"`
	DisplayName string `xml:",omitempty"`
	URI         string `xml:",omitempty"`
}

const schemaInstance = "http://www.w3.org/2001/XMLSchema-instance"

// aclOf tells who may read and write, as far as S3 has words for it.
func (h *Handler) aclOf(ctx context.Context, r *request, method string) error {
	b, err := h.bucket(ctx, r, method)
	if err != nil {
		return err
	}
	out := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ AccessControlPolicy"`
		Owner   ownerView
		Grants  []grantView `xml:"AccessControlList>Grant"`
	}{Owner: r.owner()}
	who := r.owner()
	out.Grants = []grantView{{granteeView{Schema: schemaInstance, Type: "CanonicalUser", ID: who.ID, DisplayName: who.DisplayName}, "FULL_CONTROL"}}
	if acl, err := object.ParseACL(b.Headers[object.ReadACL], false); err == nil && acl.AllowsReferrer("") {
		out.Grants = append(out.Grants, grantView{granteeView{Schema: schemaInstance, Type: "Group", URI: "http://acs.amazonaws.com/groups/global/AllUsers"}, "READ"})
	}
	return r.reply(out)
}

func (h *Handler) bucketACL(ctx context.Context, r *request) error { return h.aclOf(ctx, r, "GET") }

func (h *Handler) objectACL(ctx context.Context, r *request) error {
	if _, err := h.c.OpenObject(ctx, r.path(), "HEAD", true); err != nil {
		return err
	}
	return h.aclOf(ctx, r, "GET")
}

// cannedACL are the access lists that x-amz-acl means.
func cannedACL(name string) (object.Headers, error) {
	switch name {
	case "":
		return object.Headers{}, nil
	case "private":
		return object.Headers{object.ReadACL: "", object.WriteACL: ""}, nil
	case "public-read":
		return object.Headers{object.ReadACL: ".r:*,.rlistings", object.WriteACL: ""}, nil
	}
	return nil, fault.New(fault.Unsupported, "The access list %.64q is not implemented: private and public-read are.", name).WithCode("NotImplemented")
}

func (h *Handler) putBucketACL(ctx context.Context, r *request) error {
	name := r.Header.Get("X-Amz-Acl")
	headers, err := cannedACL(name)
	if err == nil && name == "" {
		err = fault.New(fault.Unsupported, "Access lists are set by x-amz-acl.").WithCode("NotImplemented")
	}
	if err == nil {
		err = noBucket(h.c.UpdateContainer(ctx, object.Path{Account: r.account, Container: r.bucket}, headers))
	}
	if err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusOK)
	return nil
}
