; Inno Setup 6: dist\Keyfob-VERSION-setup.exe from the folder dist\windows\Keyfob. build.ps1 compiles this:
;   iscc /DVersion=1.2.0 packaging\windows\keyfob.iss
; Uninstalling leaves accounts and keychain entries: `keyfob remove --everything` deletes them.

#ifndef Version
  #error Name the version: iscc /DVersion=1.2.0
#endif

[Setup]
AppId={{5B1F6B6E-7C0C-4E0B-9B5C-2B0D3C0E6A41}
AppName=Keyfob
AppVersion={#Version}
AppPublisher=The Keyfob authors
DefaultDirName={autopf}\Keyfob
DefaultGroupName=Keyfob
DisableProgramGroupPage=yes
; For the user alone, without an administrator. The dialog offers all users.
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
ChangesEnvironment=yes
CloseApplications=yes
LicenseFile=..\..\LICENSE
SetupIconFile=..\..\dist\keyfob.ico
UninstallDisplayIcon={app}\keyfob-window.exe
OutputDir=..\..\dist
OutputBaseFilename=Keyfob-{#Version}-setup
Compression=lzma2/max
SolidCompression=yes
WizardStyle=modern

[Tasks]
Name: path; Description: "Add the keyfob command to PATH"
Name: login; Description: "Start Keyfob when I log in"; Flags: unchecked

[InstallDelete]
; Files of an older version that the new one does not have.
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "..\..\dist\windows\Keyfob\*"; DestDir: "{app}"; Flags: ignoreversion recursesubdirs createallsubdirs

[Icons]
Name: "{group}\Keyfob"; Filename: "{app}\keyfob-window.exe"; AppUserModelID: "org.keyfob.Keyfob"

[Registry]
Root: HKA; Subkey: "{code:EnvironmentKey}"; ValueType: expandsz; ValueName: "Path"; ValueData: "{olddata};{app}"; Tasks: path; Check: IsNotOnPath

[Run]
; As the setting "Start at login" does it, so that the app can switch it off again.
Filename: "{app}\keyfob.exe"; Parameters: "settings set start_at_login true"; Flags: runhidden runasoriginaluser; Tasks: login
Filename: "{app}\keyfob-window.exe"; Description: "Open Keyfob"; Flags: postinstall nowait skipifsilent

[UninstallRun]
Filename: "{app}\keyfob.exe"; Parameters: "settings set start_at_login false"; Flags: runhidden; RunOnceId: "StartAtLogin"

[Code]
function EnvironmentKey(Param: String): String;
begin
  if IsAdminInstallMode then
    Result := 'System\CurrentControlSet\Control\Session Manager\Environment'
  else
    Result := 'Environment';
end;

function CurrentPath(): String;
begin
  if not RegQueryStringValue(HKA, EnvironmentKey(''), 'Path', Result) then
    Result := '';
end;

function IsNotOnPath(): Boolean;
begin
  Result := Pos(';' + Uppercase(ExpandConstant('{app}')) + ';', ';' + Uppercase(CurrentPath()) + ';') = 0;
end;

procedure CurUninstallStepChanged(Step: TUninstallStep);
var
  Path, Folder: String;
  Start: Integer;
begin
  if Step <> usPostUninstall then
    exit;
  Path := ';' + CurrentPath() + ';';
  Folder := ';' + ExpandConstant('{app}') + ';';
  Start := Pos(Uppercase(Folder), Uppercase(Path));
  if Start = 0 then
    exit;
  Delete(Path, Start, Length(Folder) - 1);
  RegWriteExpandStringValue(HKA, EnvironmentKey(''), 'Path', Copy(Path, 2, Length(Path) - 2));
end;
