// SPDX-License-Identifier: MIT

// Package s3 reads the artifacts of images: manifests, kernels, initrds, root
// file systems and boot parameters.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"go.opentelemetry.io/otel/trace"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

const (
	name = "s3"
	// defaultRegion is set so that buckets are not asked where they are:
	// gateways on site have no regions, and few answer that question.
	defaultRegion = "us-east-1"
	// defaultTimeout bounds one request without Config.Timeout.
	defaultTimeout = 60 * time.Second
)

// Config says how S3 is reached. Protocol and Gateway are needed.
type Config struct {
	// Protocol is http or https; "" means http.
	Protocol string
	// Gateway is the host, with a port if it is not the protocol's. A gateway
	// that begins with a protocol of its own overrides Protocol.
	Gateway string
	// AccessKey and SecretKey sign the requests; without them they go out
	// unsigned.
	AccessKey string
	SecretKey string
	// Region is the one that the gateway wants to see in signatures; "" means
	// us-east-1.
	Region string
	// Timeout is the time that one request may take; nil, and anything not
	// positive, means 60 s. The caller's deadline holds beside.
	Timeout func() time.Duration
	// The others are those of [call.Config].
	Transport http.RoundTripper
	Logger    *slog.Logger
	Observe   func(call.Sample)
	Tracer    trace.Tracer
	TimeScale float64
	Insecure  bool
	CAFile    string
}

// Client reads objects. It is safe for concurrent use.
type Client struct {
	svc  *call.Service
	core *minio.Core
	// secrets must not come back in the words of errors.
	secrets []string
}

// ObjectInfo is what S3 tells of an object.
type ObjectInfo struct {
	// ETag is without quotes, as manifests have it.
	ETag string
	// Size is in bytes; -1 if S3 doesn't say.
	Size int64
}

// New makes a client. It does no network I/O. The error has [bos.CodeInvalid]
// if the protocol or the gateway can't be used.
func New(cfg Config) (*Client, error) {
	protocol, gateway := cfg.Protocol, strings.TrimRight(cfg.Gateway, "/")
	if before, after, found := strings.Cut(gateway, "://"); found {
		protocol, gateway = before, after
	}
	if protocol == "" {
		protocol = "http"
	}
	if protocol != "http" && protocol != "https" {
		return nil, bos.Errorf(bos.CodeInvalid, "the S3 protocol %q is neither http nor https", protocol)
	}
	timeout := func() time.Duration {
		if cfg.Timeout != nil {
			if d := cfg.Timeout(); d > 0 {
				return d
			}
		}
		return defaultTimeout
	}
	svc := call.New(call.Config{
		Name: name, BaseURL: protocol + "://" + gateway, Timeout: timeout,
		Transport: cfg.Transport, Logger: cfg.Logger, Observe: cfg.Observe, Tracer: cfg.Tracer,
		TimeScale: cfg.TimeScale, Insecure: cfg.Insecure, CAFile: cfg.CAFile,
	})
	if t, ok := svc.Transport().(*http.Transport); ok && cfg.Transport == nil {
		// Objects are wanted as they are stored, compressed or not.
		t.DisableCompression = true
	}
	region := cfg.Region
	if region == "" {
		region = defaultRegion
	}
	core, err := minio.NewCore(gateway, &minio.Options{
		Creds:        credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""),
		Secure:       protocol == "https",
		Transport:    svc.Transport(),
		Region:       region,
		BucketLookup: minio.BucketLookupPath,
		// One: the retries are the service's.
		MaxRetries: 1,
	})
	if err != nil {
		return nil, &bos.Error{Code: bos.CodeInvalid, Message: fmt.Sprintf("the S3 gateway %q can't be used", cfg.Gateway), Err: err}
	}
	return &Client{svc: svc, core: core, secrets: []string{cfg.SecretKey, cfg.AccessKey, gateway}}, nil
}

// Service returns the service that the client talks to, for its health.
func (c *Client) Service() *call.Service { return c.svc }

// ParseURL takes a path of the form s3://bucket/key apart. The error has
// [bos.CodeInvalid].
func ParseURL(path string) (bucket, key string, err error) {
	rest, found := strings.CutPrefix(path, "s3://")
	if !found {
		return "", "", invalidPath(path, errors.New("no s3://"))
	}
	bucket, key, _ = strings.Cut(rest, "/")
	key = strings.TrimLeft(key, "/")
	if err := s3utils.CheckValidBucketName(bucket); err != nil {
		return "", "", invalidPath(path, err)
	}
	if err := s3utils.CheckValidObjectName(key); err != nil {
		return "", "", invalidPath(path, err)
	}
	for part := range strings.SplitSeq(key, "/") {
		// A proxy on the way could make another path of it.
		if part == "." || part == ".." {
			return "", "", invalidPath(path, errors.New("relative path"))
		}
	}
	return bucket, key, nil
}

func invalidPath(path string, cause error) error {
	return &bos.Error{
		Code:    bos.CodeInvalid,
		Message: fmt.Sprintf("'%s' is not a path of the form s3://bucket/key", path),
		Err:     cause,
	}
}

// Head returns what S3 tells of the object at a path of the form
// s3://bucket/key. The error has [bos.CodeNotFound] if there is none.
func (c *Client) Head(ctx context.Context, path string) (ObjectInfo, error) {
	bucket, key, err := ParseURL(path)
	if err != nil {
		return ObjectInfo{}, err
	}
	var info ObjectInfo
	err = c.svc.Run(ctx, call.Request{Operation: "head-object", Method: http.MethodHead}, func(ctx context.Context) (int, error) {
		stat, err := c.core.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
		if err != nil {
			return c.judge(err)
		}
		info = objectInfo(stat)
		return http.StatusOK, nil
	})
	if err != nil {
		return ObjectInfo{}, orNoSuchObject(path, err)
	}
	return info, nil
}

// Get reads a whole object of at most limit bytes. The error has
// [bos.CodeNotFound] if there is no such object and [bos.CodeTooLarge] if it is
// longer.
func (c *Client) Get(ctx context.Context, path string, limit int64) ([]byte, ObjectInfo, error) {
	bucket, key, err := ParseURL(path)
	if err != nil {
		return nil, ObjectInfo{}, err
	}
	var info ObjectInfo
	var data []byte
	tooLong := false
	err = c.svc.Run(ctx, call.Request{Operation: "get-object", Method: http.MethodGet}, func(ctx context.Context) (int, error) {
		body, stat, _, err := c.core.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
		if err != nil {
			return c.judge(err)
		}
		defer func() { _ = body.Close() }()
		info = objectInfo(stat)
		if tooLong = info.Size > limit; tooLong {
			return http.StatusOK, nil
		}
		data, err = io.ReadAll(io.LimitReader(body, limit+1))
		tooLong = int64(len(data)) > limit
		return http.StatusOK, err
	})
	switch {
	case err != nil:
		return nil, ObjectInfo{}, orNoSuchObject(path, err)
	case tooLong:
		return nil, ObjectInfo{}, bos.Errorf(bos.CodeTooLarge, "'%s' is larger than %d bytes", path, limit)
	default:
		return data, info, nil
	}
}

func objectInfo(stat minio.ObjectInfo) ObjectInfo {
	return ObjectInfo{
		ETag: strings.Trim(strings.TrimPrefix(stat.ETag, "W/"), `"`),
		Size: stat.Size,
	}
}

// judge turns an answer that minio takes for an error into the error that
// services have in common, and leaves the errors of the transport.
func (c *Client) judge(err error) (int, error) {
	answer, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok {
		return 0, err
	}
	if answer.StatusCode == 0 || answer.StatusCode/100 == 2 {
		// Its headers make no sense to minio.
		return http.StatusOK, call.Garbage(http.StatusOK, err)
	}
	return answer.StatusCode, call.Answered(answer.StatusCode, call.Clean(answer.Message, c.secrets...), err)
}

// orNoSuchObject turns a 404 into a domain error and leaves others.
func orNoSuchObject(path string, err error) error {
	if call.StatusOf(err) == http.StatusNotFound {
		return &bos.Error{
			Code:    bos.CodeNotFound,
			Message: fmt.Sprintf("'%s' does not exist in S3", path),
			Err:     err,
		}
	}
	return err
}
