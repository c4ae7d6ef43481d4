# A formula for a tap of the publisher's. packaging/README.md says what to write for the words between @ signs.
class Keyfob < Formula
  desc "Connect your online accounts once, for all your tools"
  homepage "@HOMEPAGE@"
  url "@SDIST_URL@"
  sha256 "@SDIST_SHA256@"
  license "Apache-2.0"

  depends_on "uv" => :build
  depends_on "python@3.13"

  def install
    # The versions and hashes of uv.lock, in an environment of the formula's own.
    ENV["UV_PROJECT_ENVIRONMENT"] = libexec
    ENV["UV_PYTHON"] = Formula["python@3.13"].opt_bin/"python3.13"
    ENV["UV_PYTHON_DOWNLOADS"] = "never"
    system "uv", "sync", "--frozen", "--no-dev", "--no-editable", "--extra", "desktop", "--extra", "demo"
    commands = %w[keyfob keyfob-token keyfob-window git-credential-keyfob docker-credential-keyfob keyfob-keyring]
    bin.install_symlink(commands.map { |name| libexec/"bin"/name })
    man1.install Dir["packaging/man/*.1"]
    generate_completions_from_executable(bin/"keyfob", "completion", shells: [:bash, :zsh, :fish])
  end

  service do
    run [opt_bin/"keyfob", "agent"]
    keep_alive successful_exit: false
    run_type :immediate
  end

  def caveats
    <<~EOS
      To add Keyfob to the application menu on Linux, run: keyfob desktop-entry install
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/keyfob --version")
    ENV["KEYFOB_HOME"] = testpath/"home"
    assert_match '"accounts": []', shell_output("#{bin}/keyfob accounts --json")
  end
end
