# Holds a fleet's block of loopback addresses, by one socket a block, as long as the fleet lives. It reads
# "PID STARTTIME" lines and, when its input ends (the lab's process is gone, however it went), kills those processes;
# unless a line said `release`: then the fleet is meant to stay, and so is the keeper.
use strict;
use warnings;
use POSIX ();
use Socket;

my ($port, @addresses) = @ARGV;
POSIX::setsid();
$SIG{INT} = $SIG{HUP} = 'IGNORE';
my @held;
for my $address (@addresses) {
    socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
    bind($socket, sockaddr_in($port, inet_aton($address))) or exit 3;
    listen($socket, 1) or exit 3;
    push @held, $socket;
}
$| = 1;
print "held\n";
my @processes;
while (my $line = <STDIN>) {
    if ($line eq "release\n") { close STDIN; sleep 1000000 while 1; }
    push @processes, [split ' ', $line];
}
for my $process (@processes) {
    my ($pid, $start) = @$process;
    open(my $stat, '<', "/proc/$pid/stat") or next;
    my $text = <$stat>;
    $text =~ s/^.*\) //s;
    kill 'KILL', $pid if (split ' ', $text)[19] eq $start;
}
