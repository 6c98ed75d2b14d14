# Keeps the machines of one full-tier fleet: process 1 of a pid namespace in which they all live, in a mount and a network
# namespace of its own, so that nothing of them outlives it. Arguments: the fleet's folder, the root tree, the cgroup's
# name. It prints `ready`, waits for `go` and the first three bytes of the fleet's addresses, then starts all machines.
#
# A machine that reboots is started again; one that ended otherwise stays off until `hosts/NAME/start` is there and
# SIGUSR1 comes. When its input ends (the lab's process is gone, however it went), or on SIGTERM, it halts all machines
# and ends; unless a line said `release`: then the fleet is meant to stay.
use strict;
use warnings;
use IO::Handle;
use POSIX qw(:sys_wait_h :signal_h);

my ($dir, $tree, $cgroup) = @ARGV;
my $net;
my $REBOOT = 133;                # how systemd-nspawn --keep-unit ends when its machine reboots
my $CGROUPS = '/sys/fs/cgroup';
my (%machine_of, %pid_of);
my ($stop, $look) = (0, 0);

# Without SA_RESTART, so that a signal ends the wait in select.
sub on { my ($signal, $do) = @_; sigaction($signal, POSIX::SigAction->new($do)) or die "sigaction: $!" }
on(SIGTERM, sub { $stop = 1 });
on(SIGUSR1, sub { $look = 1 });
on(SIGCHLD, sub { });
$SIG{INT} = $SIG{HUP} = $SIG{PIPE} = 'IGNORE';

sub run { system(@_) == 0 or die "`@_` failed\n" }

sub batch {
    my ($lines) = @_;
    open(my $ip, '|-', 'ip', '-batch', '-') or die "ip: $!";
    print $ip $lines;
    close $ip or die "ip could not do:\n$lines";
}

sub lines_of { my ($file) = @_; open(my $in, '<', $file) or return (); return map { chomp; $_ } <$in> }

sub write_to { my ($file, $text) = @_; open(my $out, '>', $file) or return 0; print $out $text; return close $out }

# The hierarchies that systemd uses: one cgroup2, or cgroup2 and the v1 hierarchy that is named after it.
sub hierarchies { return grep { -e "$_/cgroup.procs" } -e "$CGROUPS/cgroup.controllers" ? $CGROUPS : ("$CGROUPS/systemd", "$CGROUPS/unified") }

sub remove_cgroups {
    system('find', $_, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+') for grep { -d } map { "$_/$cgroup" } hierarchies();
}

sub network {
    my @machines = @_;
    write_to('/proc/sys/net/ipv4/ip_forward', "0\n");
    my $lines = "link set lo up\nlink add br0 type bridge\nlink set br0 addrgenmode none\naddr add $net.253/24 dev br0\n"
        . "link set up0 addrgenmode none\nlink set up0 master br0\nlink set up0 up\nlink set br0 up\n";
    for my $machine (@machines) {
        my ($name, $address, $number) = @$machine;
        run('ip', 'netns', 'add', $name);
        $lines .= "link add v$number type veth peer name host0 netns $name\nlink set v$number addrgenmode none\n"
            . "link set v$number master br0\nlink set v$number up\n";
    }
    batch($lines);
    for my $machine (@machines) {
        my ($name, $address) = @$machine;
        run('ip', '-n', $name, 'link', 'set', 'lo', 'up');
        run('ip', '-n', $name, 'addr', 'add', "$address/24", 'dev', 'host0');
        run('ip', '-n', $name, 'link', 'set', 'host0', 'up');
    }
}

sub disks {
    my @machines = @_;
    mkdir "$dir/mnt";
    run('mount', '-t', 'tmpfs', '-o', 'mode=0755,size=4g', 'tmpfs', "$dir/mnt");
    for my $machine (@machines) {
        my $top = "$dir/mnt/$machine->[0]";
        mkdir $_ for $top, "$top/up", "$top/work", "$top/root";
        run('mount', '-t', 'overlay', 'overlay', '-o',
            "lowerdir=$dir/hosts/$machine->[0]/disk:$tree,upperdir=$top/up,workdir=$top/work", "$top/root");
    }
}

# Starts a program with its output in a file.
sub spawn {
    my ($log, @command) = @_;
    my $pid = fork;
    die "fork: $!" unless defined $pid;
    return $pid if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT HUP PIPE TERM USR1 CHLD);
    POSIX::setsid();
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>>', $log);
    open(STDERR, '>&', \*STDOUT);
    exec(@command) or POSIX::_exit(127);
}

sub boot {
    my ($name) = @_;
    my $enter = '';
    for my $hierarchy (hierarchies()) {
        mkdir "$hierarchy/$cgroup";
        mkdir "$hierarchy/$cgroup/$name";
        # What an earlier boot left would be in the way of the next.
        system("find '$hierarchy/$cgroup/$name' -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null");
        $enter .= "echo 0 > '$hierarchy/$cgroup/$name/cgroup.procs' && ";
    }
    my @options = lines_of("$dir/hosts/$name/nspawn");
    my $pid = spawn("$dir/hosts/$name/console.log", 'sh', '-c', $enter . 'exec "$@"', 'sh',
        'systemd-nspawn', '--quiet', '--register=no', '--keep-unit', "--machine=$name",
        "--network-namespace-path=/run/netns/$name", '--resolv-conf=off', '--timezone=off', @options,
        '--directory', "$dir/mnt/$name/root", '--boot', '--console=pipe');
    $machine_of{$pid} = $name;
    $pid_of{$name} = $pid;
}

# Returns true while a child is left.
sub reap {
    my ($again) = @_;
    my $pid;
    while (($pid = waitpid(-1, WNOHANG)) > 0) {
        my $name = delete $machine_of{$pid} or next;
        delete $pid_of{$name};
        boot($name) if $again and $? >> 8 == $REBOOT;
    }
    return $pid == 0;
}

sub halt_all {
    kill 'TERM', keys %machine_of;
    for (1 .. 200) {
        reap(0);
        last unless %machine_of;
        select(undef, undef, undef, 0.05);
    }
    kill 'KILL', -1;
    for (1 .. 100) { last unless reap(0); select(undef, undef, undef, 0.02) }
    system('ip', 'link', 'del', 'up0');
    remove_cgroups();
}

my @names;
eval {
    run('mount', '-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', '/run');
    mkdir "/run/$_" for qw(lock netns systemd);
    STDOUT->autoflush(1);
    print "ready\n";
    my $go = <STDIN>;
    exit 0 unless defined $go and $go =~ /^go (\S+)$/;
    $net = $1;
    my @machines = map { [split ' '] } lines_of("$dir/machines");
    @names = map { $_->[0] } @machines;
    network(@machines);
    disks(@machines);
    spawn("$dir/haproxy.log", 'haproxy', '-db', '-f', "$dir/haproxy.cfg") if -e "$dir/haproxy.cfg";
    boot($_) for @names;
    print "started\n";
    1;
} or do {
    print "failed: $@";
    $stop = 1;
};

my $guard = 1;
until ($stop) {
    my $ready = '';
    vec($ready, fileno(STDIN), 1) = 1 if $guard;
    if (select($ready, undef, undef, 0.5) > 0) {
        my $got = sysread(STDIN, my $text, 100);
        if (!$got) { $stop = 1 }
        elsif ($text =~ /^release$/m) { $guard = 0; close STDIN }
    }
    reap(1);
    if ($look) {
        $look = 0;
        for my $name (@names) { boot($name) if unlink "$dir/hosts/$name/start" and !$pid_of{$name} }
    }
}
halt_all();
