# Stands in sshd's place on a host with a fault of the connection. Arguments: what to do, address, port.
use strict;
use warnings;
use Socket;

my ($fault, $address, $port) = @ARGV;
my $where = sockaddr_in($port, inet_aton($address));
my $backlog = $fault eq 'unanswered' ? 0 : 128;
socket(my $server, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
setsockopt($server, SOL_SOCKET, SO_REUSEADDR, 1);
bind($server, $where) or die "bind $address:$port: $!";
listen($server, $backlog) or die "listen: $!";
my @held;
if ($fault eq 'unanswered') {
    # A full queue: the kernel drops every further request, as if the host were down.
    for (1 .. 2) {
        socket(my $own, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
        require Fcntl;
        fcntl($own, Fcntl::F_SETFL(), Fcntl::O_NONBLOCK());
        connect($own, $where);
        push @held, $own;
    }
    print STDERR "ready: $fault\n";
    sleep 1000000 while 1;
}
print STDERR "ready: $fault\n";
while (accept(my $client, $server)) {
    print STDERR "accepted\n";
    next if $fault eq 'closes';
    syswrite($client, "SSH-2.0-OpenSSH_9.2p1\r\n") if $fault eq 'hangs_after_banner';
    push @held, $client;
}
