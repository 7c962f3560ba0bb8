// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"bos/internal/config"
	"bos/internal/store/etcd"
)

func (p *program) cluster() *cobra.Command {
	c := &cobra.Command{
		Use: "cluster", Short: "Look after the members of a cluster of embedded stores",
		Long: "The members are those of bosd serve with --cluster-listen. They are reached on\n" +
			"the host of one of them by its data folder, and from elsewhere by their addresses\n" +
			"for clients (--etcd-endpoints). A member that joins with --cluster-join adds and\n" +
			"promotes itself.",
	}
	c.AddCommand(p.clusterList(), p.clusterAdd(), p.clusterRemove(), p.clusterPromote(), p.clusterDefrag(), p.clusterRecover())
	return c
}

// administer makes a command that asks the members.
func (p *program) administer(c *cobra.Command, run func(ctx context.Context, a *etcd.Admin, args []string) error) *cobra.Command {
	cfg := config.Default()
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usage(err)
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if err := p.load(cfg); err != nil {
			return err
		}
		log, _ := p.logger(cfg)
		where, err := remote(cfg, log)
		if err != nil {
			return err
		}
		a, err := etcd.OpenAdmin(c.Context(), where)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		return run(c.Context(), a, args)
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupEmbedded, config.GroupEtcd)
	return c
}

func (p *program) clusterList() *cobra.Command {
	output := config.FormatText
	c := p.administer(&cobra.Command{Use: "list", Short: "List the members and how they are", Args: cobra.NoArgs},
		func(ctx context.Context, a *etcd.Admin, _ []string) error {
			members, err := a.Members(ctx)
			if err != nil {
				return err
			}
			switch output {
			case config.FormatJSON:
				return writeMembersJSON(p.stdout, members)
			case config.FormatText:
				return writeMembers(p.stdout, members)
			}
			return usage(fmt.Errorf("output: must be text or json, not %q", output))
		})
	c.Flags().StringVar(&output, "output", output, "`format` of the result, text or json")
	return c
}

// writeMembers writes a table of members.
func writeMembers(w io.Writer, members []etcd.MemberInfo) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "ID\tNAME\tROLE\tSTATE\tSIZE\tAPPLIED\tPEERS\tCLIENTS")
	for _, m := range members {
		size, applied := "-", "-"
		if m.Answers {
			size, applied = fmt.Sprintf("%.1f MB", float64(m.Bytes)/1e6), strconv.FormatUint(m.Applied, 10)
		}
		_, _ = fmt.Fprintf(t, "%x\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, orDash(m.Name), memberRole(m), memberState(m), size, applied,
			strings.Join(m.PeerURLs, ","), orDash(strings.Join(m.ClientURLs, ",")))
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func memberRole(m etcd.MemberInfo) string {
	switch {
	case m.Learner:
		return "learner"
	case m.Leader:
		return "leader"
	}
	return "follower"
}

// memberState says how a member is, in one word.
func memberState(m etcd.MemberInfo) string {
	switch {
	case m.Name == "":
		return "unstarted"
	case len(m.Alarms) > 0:
		return strings.Join(m.Alarms, ",")
	case m.Answers:
		return "up"
	case len(m.ClientURLs) == 0:
		return "unknown"
	}
	return "away"
}

func writeMembersJSON(w io.Writer, members []etcd.MemberInfo) error {
	type member struct {
		ID      string   `json:"id"`
		Name    string   `json:"name"`
		Role    string   `json:"role"`
		State   string   `json:"state"`
		Bytes   int64    `json:"bytes"`
		InUse   int64    `json:"bytes_in_use"`
		Applied uint64   `json:"applied"`
		Peers   []string `json:"peer_urls"`
		Clients []string `json:"client_urls"`
	}
	list := make([]member, 0, len(members))
	for _, m := range members {
		list = append(list, member{
			strconv.FormatUint(m.ID, 16), m.Name, memberRole(m), memberState(m), m.Bytes, m.InUse, m.Applied, m.PeerURLs, m.ClientURLs,
		})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}

func (p *program) clusterAdd() *cobra.Command {
	return p.administer(&cobra.Command{
		Use: "add HOST:PORT", Short: "Prepare for a member that will come up at an address",
		Long: "Prepares for a member that will come up with --cluster-listen (or\n" +
			"--cluster-advertise) HOST:PORT and --cluster-join. It learns first, without a vote.\n" +
			"Members that join do this by themselves.",
		Example: "  bosd cluster add 10.1.2.4:2380", Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, a *etcd.Admin, args []string) error {
		if _, _, err := net.SplitHostPort(args[0]); err != nil {
			return usage(fmt.Errorf("%.100q is not host:port", args[0]))
		}
		id, err := a.AddMember(ctx, args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%x\n", id)
		return err
	})
}

// memberID reads the number of a member as list shows it.
func memberID(text string) (uint64, error) {
	id, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%.100q is not the ID of a member; bosd cluster list shows them", text)
	}
	return id, nil
}

func (p *program) clusterRemove() *cobra.Command {
	return p.administer(&cobra.Command{
		Use: "remove ID", Short: "Remove a member for good",
		Long: "Removes a member. If it still runs, it ends; it can join again with an empty\n" +
			"data folder only.",
		Example: "  bosd cluster remove 8e9e05c52164694d", Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, a *etcd.Admin, args []string) error {
		id, err := memberID(args[0])
		if err != nil {
			return usage(err)
		}
		return a.RemoveMember(ctx, id)
	})
}

func (p *program) clusterPromote() *cobra.Command {
	return p.administer(&cobra.Command{
		Use: "promote ID", Short: "Give a member that has learned enough its vote",
		Long:    "Gives a learner its vote. Members that join do this by themselves.",
		Example: "  bosd cluster promote 8e9e05c52164694d", Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, a *etcd.Admin, args []string) error {
		id, err := memberID(args[0])
		if err != nil {
			return usage(err)
		}
		return a.PromoteMember(ctx, id)
	})
}

func (p *program) clusterDefrag() *cobra.Command {
	return p.administer(&cobra.Command{
		Use: "defrag", Short: "Give free space in the store's files back, and take back the alarm of a full store",
		Long: "Forgets the history, has each member write its file anew, the leader last, and\n" +
			"takes back the alarm of a store that was full, if there is room again. A member\n" +
			"answers nothing while it writes its file. Works on an etcd outside too, for a user\n" +
			"that may do so.",
		Example: "  bosd cluster defrag --data-dir /var/lib/bos", Args: cobra.NoArgs,
	}, func(ctx context.Context, a *etcd.Admin, _ []string) error {
		done, err := a.Defragment(ctx)
		for _, m := range done {
			_, _ = fmt.Fprintf(p.stdout, "%s: %.1f MB became %.1f MB\n", orDash(m.Name), float64(m.Before)/1e6, float64(m.After)/1e6)
		}
		return err
	})
}

func (p *program) clusterRecover() *cobra.Command {
	cfg := config.Default()
	yes := false
	c := &cobra.Command{
		Use: "recover", Short: "Make one member that is left the only one, when the majority is lost for ever",
		Long: "Opens the data of a member that does not run and makes it the only member. What\n" +
			"the others had acknowledged and this one had not received yet is lost, so take the\n" +
			"member that is furthest on. The others must never be started with their data\n" +
			"again: empty their folders and let them join.",
		Example: "  bosd cluster recover --data-dir /var/lib/bos --yes", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			if !etcd.HasData(cfg.DataDir) {
				return usage(fmt.Errorf("there is no store in %s", cfg.DataDir))
			}
			if !yes {
				return usage(errors.New("say --yes if the majority of the members is lost for ever"))
			}
			log, _ := p.logger(cfg)
			engine, err := etcd.OpenEmbedded(c.Context(), etcd.Embedded{Dir: cfg.DataDir, Quota: int64(cfg.DataQuota) << 20, Recover: true, Log: log})
			if err != nil {
				return err
			}
			if err := engine.Close(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stderr, "the store in %s is the only member now; start it, and let the others join with empty folders\n", cfg.DataDir)
			return err
		},
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupEmbedded)
	c.Flags().BoolVar(&yes, "yes", false, "the majority of the members is lost for ever")
	return c
}
