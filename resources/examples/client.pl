#!/usr/bin/perl
# A QVD client written in Perl: it starts the picker and hands it the session on a pipe.
# The devices are shared for as long as the pipe is open; closing it returns them.
# The key goes through the pipe alone: whoever lists processes never sees it.
use strict;
use warnings;
use JSON::PP;

my ($name, $address, $key_file) = @ARGV;
die "usage: client.pl NAME HOST:PORT KEY_FILE\n" unless defined $key_file;
open(my $keys, '<', $key_file) or die "$key_file: $!\n";
chomp(my $key = <$keys>);

# By its full name, so that nothing else on the PATH is given the key.
my $picker = $ENV{PICKER} // '/usr/bin/qvd-usb-picker';
my $pid = open(my $pipe, '|-', $picker, '--session', '-') or die "$picker: $!\n";
my $session = { v => 1, name => $name, address => $address, key => $key, encryption => 'none' };
$pipe->autoflush(1);
print {$pipe} JSON::PP->new->utf8->canonical->encode($session), "\n";

# Here the client would run its session; this one lasts until standard input ends.
1 while <STDIN>;

# Waits for the picker: every device is home when it has ended.
close($pipe);
exit($? >> 8);
