// SPDX-License-Identifier: MIT

package legacy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"bos/internal/bos"
)

const (
	// callTimeout bounds one question to Redis, dialTimeout a connection.
	callTimeout = 30 * time.Second
	dialTimeout = 10 * time.Second
	// scanBatch is how many keys are asked for at once, valuesBatch how many
	// bytes of values.
	scanBatch   = 500
	valuesBatch = 8 << 20
	// maxValue bounds one value in bytes; the largest template that BOS takes
	// fits. maxKeys and maxTotal bound what is read of one database.
	maxValue = 32 << 20
	maxKeys  = 1 << 20
	maxTotal = 4 << 30
)

// Source is the Redis of the original.
type Source struct{ opts *redis.Options }

// Open reads where the original's Redis is, redis://[user[:password]@]host:port
// or rediss:// with TLS. password is used if the URL has none, and roots are whose
// certificates are trusted; nil are those of the system. Nothing is asked yet. No
// error shows the URL: there may be a password in it.
func Open(where, password string, roots *x509.CertPool) (*Source, error) {
	u, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("it is no URL such as redis://host:6379")
	}
	switch {
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return nil, errors.New("it does not begin with redis:// or rediss://")
	case u.Hostname() == "":
		return nil, errors.New("it names no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it is to end with the port: the databases are known")
	}
	u.Path = ""
	opts, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, errors.New("it is no URL such as redis://host:6379")
	}
	switch {
	case opts.TLSConfig != nil:
		opts.TLSConfig.RootCAs = roots
	case roots != nil:
		return nil, errors.New("there is a CA to trust, but no TLS: that is rediss://")
	}
	if opts.Password == "" {
		opts.Password = password
	}
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = dialTimeout, callTimeout, callTimeout
	opts.MaxRetries, opts.PoolSize = 2, 2
	// The server may be as old as the original.
	opts.Protocol, opts.DisableIdentity = 2, true
	return &Source{opts}, nil
}

// Address is host:port, for people.
func (s *Source) Address() string { return s.opts.Addr }

// Read reads all six databases. Nothing is written there. Keys that come or go
// meanwhile may be missing; whoever wants all of them stops the original first.
func (s *Source) Read(ctx context.Context) (Dump, error) {
	// The library has a log of its own for the whole process; what it would say
	// comes back as errors too.
	redis.SetLogger(silent{})
	var dump Dump
	for db := range databases {
		raws, err := s.database(ctx, db)
		if err != nil {
			return dump, &bos.Error{
				Code: bos.CodeUnavailable, Dependency: "redis", Err: err,
				Message: fmt.Sprintf("read %s (database %d) of redis at %s: %v", db, int(db), s.opts.Addr, err),
			}
		}
		dump[db] = raws
	}
	return dump, nil
}

// silent is a log that keeps nothing.
type silent struct{}

// Printf implements the library's log.
func (silent) Printf(context.Context, string, ...any) {}

func (s *Source) database(ctx context.Context, db Database) (raws []Raw, err error) {
	opts := *s.opts
	opts.DB = int(db)
	client := redis.NewClient(&opts)
	defer func() { err = errors.Join(err, client.Close()) }()
	r := &reader{client: client, seen: map[string]bool{}}
	var cursor uint64
	for {
		keys, next, err := client.Scan(ctx, cursor, "*", scanBatch).Result()
		if err != nil {
			return nil, err
		}
		if err := r.batch(ctx, keys); err != nil {
			return nil, err
		}
		if cursor = next; cursor == 0 {
			return r.raws, nil
		}
	}
}

// reader reads one database.
type reader struct {
	client *redis.Client
	seen   map[string]bool
	raws   []Raw
	total  int64
}

// batch reads the values of keys. A scan may return a key more than once.
func (r *reader) batch(ctx context.Context, keys []string) error {
	var fresh []string
	for _, key := range keys {
		if !r.seen[key] {
			r.seen[key] = true
			fresh = append(fresh, key)
		}
	}
	if len(r.seen) > maxKeys {
		return fmt.Errorf("it has more than %d keys: that is not the original's", maxKeys)
	}
	sizes, err := r.sizes(ctx, fresh)
	if err != nil {
		return err
	}
	var part []string
	var bytes int64
	for i, key := range fresh {
		switch {
		case sizes[i] < 0:
			r.raws = append(r.raws, Raw{Key: key, Fault: "its value is no text but another kind of Redis's"})
			continue
		case sizes[i] > maxValue:
			r.raws = append(r.raws, Raw{Key: key, Fault: fmt.Sprintf("its value has %d bytes, more than %d; it is still in Redis", sizes[i], maxValue)})
			continue
		}
		if bytes += sizes[i]; len(part) > 0 && bytes > valuesBatch {
			if err := r.values(ctx, part); err != nil {
				return err
			}
			part, bytes = nil, sizes[i]
		}
		part = append(part, key)
	}
	return r.values(ctx, part)
}

// sizes asks for the lengths of values; that of what is no text is -1.
func (r *reader) sizes(ctx context.Context, keys []string) ([]int64, error) {
	sizes := make([]int64, len(keys))
	if len(keys) == 0 {
		return sizes, nil
	}
	commands, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.StrLen(ctx, key)
		}
		return nil
	})
	if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, err
	}
	for i, command := range commands {
		n, ok := command.(*redis.IntCmd)
		switch {
		case ok && n.Err() == nil:
			sizes[i] = n.Val()
		case redis.HasErrorPrefix(command.Err(), "WRONGTYPE"):
			sizes[i] = -1
		default:
			return nil, command.Err()
		}
	}
	return sizes, nil
}

// values asks for values. GETRANGE bounds one that has grown meanwhile.
func (r *reader) values(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	commands, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.GetRange(ctx, key, 0, maxValue)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, command := range commands {
		value, ok := command.(*redis.StringCmd)
		if !ok {
			return errors.New("an answer of another kind")
		}
		text := []byte(value.Val())
		if r.total += int64(len(text)); r.total > maxTotal {
			return fmt.Errorf("it has more than %d bytes: that is not the original's", int64(maxTotal))
		}
		r.raws = append(r.raws, Raw{Key: keys[i], Value: text})
	}
	return nil
}

// LogValue implements [slog.LogValuer]: no password is logged.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.opts.Addr) }
