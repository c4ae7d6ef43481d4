# Makes dist\Keyfob-VERSION-setup.exe on Windows, signed if the publisher's certificate is named:
#
#   $env:SIGN_AS = "SHA-1 thumbprint of the certificate"    in the user's certificate store, or on a token
#
# Needs uv, Python 3.13 (64 bit), Inno Setup 6 (iscc) and, to sign, the Windows SDK (signtool) on PATH.
$ErrorActionPreference = "Stop"
Set-StrictMode -Version Latest
$root = (Resolve-Path "$PSScriptRoot\..\..").Path
$dist = "$root\dist"
Set-Location $root

function Invoke-Checked([string]$Program, [string[]]$Words) {
    & $Program @Words
    if ($LASTEXITCODE -ne 0) { throw "$Program failed with $LASTEXITCODE" }
}

function Add-Signature([string[]]$Files) {
    if (-not $env:SIGN_AS) { return }
    $words = @("sign", "/sha1", $env:SIGN_AS, "/fd", "sha256", "/td", "sha256", "/tr", $env:TIMESTAMP_SERVER)
    Invoke-Checked "signtool" ($words + $Files)
    Invoke-Checked "signtool" (@("verify", "/pa", "/all") + $Files)
}

if ($env:SIGN_AS -and -not $env:TIMESTAMP_SERVER) { throw "Name the certificate authority's TIMESTAMP_SERVER" }

# The versions and hashes of uv.lock, in an environment of its own.
$env:UV_PROJECT_ENVIRONMENT = "$dist\windows-environment"
$env:UV_PYTHON_DOWNLOADS = "never"
Invoke-Checked "uv" @("sync", "--frozen", "--no-editable", "--no-default-groups", "--group", "package", "--all-extras")
$python = "$dist\windows-environment\Scripts\python.exe"
$version = & $python -c "import keyfob; print(keyfob.__version__)"

Invoke-Checked $python @("packaging\windows\prepare.py")
Invoke-Checked $python @(
    "-m", "PyInstaller", "--noconfirm", "--clean", "--workpath", "$dist\windows-work",
    "--distpath", "$dist\windows", "packaging\windows\keyfob.spec"
)
Add-Signature (Get-ChildItem "$dist\windows\Keyfob\*.exe").FullName
Invoke-Checked "iscc" @("/Q", "/DVersion=$version", "packaging\windows\keyfob.iss")
$setup = "$dist\Keyfob-$version-setup.exe"
Add-Signature @($setup)
Write-Output $setup
